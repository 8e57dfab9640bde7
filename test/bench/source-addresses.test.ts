/** Source addresses of one run are no other's: ports that the run before left in TIME_WAIT are not waited for. */
import { execFileSync } from "node:child_process";
import { isIPv4 } from "node:net";
import { expect, test } from "vitest";
import { repositoryRoot } from "../support/node-process.js";

const PROGRAM = `
  import { sourceAddress } from "./dist/bench/generator/source-addresses.js";
  process.stdout.write(JSON.stringify([0, 1, 200].map(sourceAddress)));
`;

function addressesOfProcess(): string[] {
  const args = ["--input-type=module", "--eval", PROGRAM];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: repositoryRoot(), encoding: "utf8" }));
}

test("two processes one after the other have loopback addresses of their own", () => {
  const addresses = [...addressesOfProcess(), ...addressesOfProcess()];
  expect(new Set(addresses).size).toBe(6);
  for (const address of addresses) {
    expect(isIPv4(address)).toBe(true);
    expect(address).toMatch(/^127\./);
    // The machine's own services are at 127.0.0.x.
    expect(address).not.toMatch(/^127\.0\./);
  }
});
