import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { findProgram, freePort, Program } from "../../bench/process/program.js";

/** A server that is nothing but a port. */
function listenerOn(port: number) {
  const script = `require("node:net").createServer().listen(${port}, "127.0.0.1")`;
  return { file: process.execPath, args: ["-e", script], port, core: undefined };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe("a program that the harness starts", () => {
  it("listens once it has started, and is gone once it has stopped", async () => {
    const port = await freePort();
    const program = await Program.start(listenerOn(port));
    expect(await isListening(port)).toBe(true);
    await program.stop();
    expect(await isListening(port)).toBe(false);
    expect(() => process.kill(program.pid, 0)).toThrow();
  });

  it("that ends before it listens is an error with what it said", async () => {
    const port = await freePort();
    const failing = { file: "/bin/sh", args: ["-c", "echo out of order >&2; exit 3"], port, core: undefined };
    await expect(Program.start(failing)).rejects.toThrow(/ended before it listened\nout of order/);
  });

  it("that never listens is ended after its time", async () => {
    const port = await freePort();
    const silent = { file: "/bin/sleep", args: ["60"], port, core: undefined, readyTimeoutMs: 200 };
    await expect(Program.start(silent)).rejects.toThrow(/did not listen within 200 ms/);
  });

  it("dies with the harness, even when that is killed", async () => {
    const port = await freePort();
    const module = pathToFileURL("dist/bench/process/program.js").href;
    const harness = spawn(process.execPath, [
      "--input-type=module",
      "-e",
      `const { Program } = await import(${JSON.stringify(module)});
       await Program.start(${JSON.stringify(listenerOn(port))});
       process.stdout.write("started");`,
    ]);
    await once(harness.stdout, "data");
    expect(await isListening(port)).toBe(true);
    harness.kill("SIGKILL");
    await once(harness, "exit");
    for (let i = 0; i < 50 && (await isListening(port)); i++) await sleep(20);
    expect(await isListening(port)).toBe(false);
  });

  it("is found where servers are installed, or not at all", () => {
    expect(findProgram("sh")).toMatch(/\/sh$/);
    expect(findProgram("no-such-program-anywhere")).toBeUndefined();
  });
});
