/** Runs a verb of the benchmark within the test's process. */
import { vi } from "vitest";
import { runBench } from "../../bench/program.js";

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit code that the program would end with. */
  readonly code: number | string;
}

export async function inProcess(args: readonly string[], name?: string): Promise<Ended> {
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      written[stream] += text;
      return true;
    }),
  );
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    await runBench(args, name);
    return { ...written, code: process.exitCode ?? 0 };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}
