/** A node that is killed between a change and its notice owes the notice to the devices, and they get it from the next. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { createNode } from "../../src/index.js";
import { checkDirectory } from "../../src/store/store.js";
import { compiledProgram } from "../support/compiled.js";
import { until } from "../support/until.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-notices-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const phone = { brand: "whatsapp", account: "alice", device: 1 };

/** What the first device of the account has been told by the time that its queue is empty, and its position. */
async function told(
  position: number,
): Promise<{ versions: unknown[]; position: number; account: Uint8Array }> {
  const node = await createNode({ dataDirectory: directory, listen: false });
  const client = node.attach(phone, { resume: { position } });
  const versions: unknown[] = [];
  client.on("notice", ({ body }) => versions.push(body.version));
  const live = client.once("live");
  await client.connect();
  await live;
  const { version } = await client.devices.list();
  if (version > 1) await until("the last notice has come", () => versions.at(-1) === version);
  const result = { versions, position: client.position, account: accountOf(node.address(phone)) };
  await client.close();
  await node.stop();
  return result;
}

test("every change is told once, in order, over kills right after each transaction", async () => {
  let { account, position } = await told(0);
  let version = 1;
  for (const changes of [1, 3, 2]) {
    const child = spawnSync(
      process.execPath,
      [compiledProgram("notice-child"), directory, toHex(account), String(changes)],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    expect(child.signal).toBe("SIGKILL");
    expect(await checkDirectory(directory)).toMatchObject({ ok: true, outbox: { notices: changes } });
    const expected = Array.from({ length: changes }, (_, i) => version + 1 + i);
    const next = await told(position);
    expect(next.versions).toEqual(expected);
    position = next.position;
    version += changes;
    expect(await checkDirectory(directory)).toMatchObject({ ok: true, outbox: { notices: 0 } });
  }
});
