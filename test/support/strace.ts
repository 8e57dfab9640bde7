/** strace attached to a process that runs already. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Resolves when the process is being traced, with a way to let go of it: it then runs on. */
export async function attachStrace(
  pid: number,
  args: readonly string[],
): Promise<{ letGo(): Promise<void> }> {
  // Attaching sees what is there: the filter of a process cannot be changed from outside.
  const fitting = args.filter((arg) => arg !== "--seccomp-bpf");
  const child: ChildProcess = spawn("strace", [...fitting, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  });
  let said = "";
  const attached = new Promise<void>((resolve) => {
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on("line", (line) => {
      said += `${line}\n`;
      if (line.includes("attached")) resolve();
    });
  });
  const lost = ended.then(() => {
    throw new Error(`strace did not attach: ${said}`);
  });
  lost.catch(() => {});
  await Promise.race([attached, lost]);
  return {
    letGo: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}
