/**
 * C9: logs, metrics and errors never hold tokens, payload bytes, keys or raw ids.
 * Every fault test scans what its nodes wrote; here a node as people run it is
 * made to say as much as it can.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { damageRows, flipBits } from "../support/damage.js";
import { Fleet, PAYLOAD_CANARY } from "../support/fleet.js";
import { changeJournal } from "../support/journal-file.js";
import { buildMutant } from "../support/mutant.js";
import { freePort, NodeProcess } from "../support/node-process.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { secretsIn } from "../support/output-scan.js";
import { seededRandom, tell } from "../support/scale.js";
import { type ConnectionEnded, Stranger } from "../support/stranger.js";
import { array, bin, frames, uint } from "../support/stranger-codec.js";
import { until } from "../support/until.js";
import { mint, World, type WorldDevice } from "../support/world.js";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-privacy-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const makeWorld = () => new World({ brands: 2, accountsPerBrand: 3, devices: () => 1 });

/** Tokens that are refused, each for another reason. */
function badTokens(world: World): string[] {
  const device = world.devices[0] as WorldDevice;
  const other = world.brands[1]?.key;
  const good = mint(device);
  return [
    mint(device, { claims: { exp: 1 } }),
    mint(device, { claims: { device: "one" } }),
    mint(device, { claims: { sub: PAYLOAD_CANARY.toString("hex") } }),
    mint(device, { claims: { iss: `https://${PAYLOAD_CANARY.toString("latin1")}` } }),
    ...(other === undefined ? [] : [mint(device, { key: other })]),
    good.slice(0, -4),
    `${good}.${PAYLOAD_CANARY.toString("latin1")}`,
    PAYLOAD_CANARY.toString("latin1"),
  ];
}

/** Frames that end a connection or are refused, with canaries wherever something fits. */
function badFrames(world: World): Buffer[] {
  const { address } = world.accounts[1] as { address: Buffer };
  const payload = Buffer.concat([PAYLOAD_CANARY, PAYLOAD_CANARY]);
  const party = { account: address, version: 77, devices: [{ device: 9, payload }] };
  return [
    frames.send(payload.subarray(0, 16), [party]),
    frames.send(payload.subarray(0, 16), [party, party]),
    frames.send(payload, [party]),
    frames.send(payload.subarray(0, 16), [
      { ...party, devices: [{ device: 1, payload: Buffer.alloc(99_000, payload) }] },
    ]),
    frames.ack(2 ** 52),
    array([uint(99), bin(payload)]),
    bin(payload),
    payload,
  ];
}

async function provoke(port: number, world: World): Promise<number> {
  let refused = 0;
  for (const token of badTokens(world)) {
    await Stranger.open({ port, token }).catch((error: ConnectionEnded) => {
      refused++;
      return error;
    });
  }
  for (const frame of badFrames(world)) {
    const device = world.devices[0] as WorldDevice;
    let answers = 0;
    const stranger = await Stranger.open({ port, token: world.token(device), refusal: () => answers++ });
    stranger.write(frame);
    let isEnded = false;
    void stranger.ended.then(() => {
      isEnded = true;
    });
    await until("a refusal or an end", () => isEnded || answers > 0);
    refused++;
    stranger.drop();
    await stranger.ended;
  }
  return refused;
}

async function read(url: string): Promise<string> {
  const response = await fetch(url);
  return `${[...response.headers].join("\n")}\n${await response.text()}`;
}

test("a node that is run, provoked, damaged and questioned writes no secret", async () => {
  const world = makeWorld();
  const port = await freePort();
  const dataDirectory = join(directory, "data");
  const config = join(directory, "interline.json");
  writeFileSync(config, JSON.stringify({ brands: world.brandSettings(), limits: { spillAgeMs: 100 } }));
  const node = new NodeProcess({
    dataDirectory,
    outputDirectory: directory,
    port,
    serveArguments: ["--config", config, "--log-level", "trace"],
  });
  const fleet = new Fleet({ world, port, random: seededRandom("privacy") });
  try {
    await node.start();
    await fleet.register();
    const refused = await provoke(port, world);
    const [sender] = fleet.actors;
    await sender?.connect();
    for (const account of world.accounts.slice(1)) for (let i = 0; i < 20; i++) sender?.send([account], 300);
    await until("the receipts", () => fleet.unansweredCount === 0);
    await until("the journal is spilled", async () =>
      (await read(`http://127.0.0.1:${port}/metrics`)).includes("interline_journal_blocks 0\n"),
    );
    const pages = await Promise.all(
      ["/metrics", "/health/live", "/health/ready", "/", "/nothing"].map((path) =>
        read(`http://127.0.0.1:${port}${path}`),
      ),
    );
    await node.stop();
    const random = fleet.random;
    const spoil = ({ value }: { value: Buffer }) => flipBits(value, random);
    const damaged: unknown[] = [];
    for (const table of ["queues", "dedup"])
      damaged.push(...(await damageRows(dataDirectory, table, (rows) => rows, spoil)));
    changeJournal(dataDirectory, (blocks) => {
      for (const { bytes } of blocks) flipBits(bytes, random).copy(bytes);
      damaged.push(...blocks);
    });
    await node.start();
    fleet.wantAll();
    await Promise.all(fleet.actors.map((actor) => actor.connect()));
    await until("all that is left", () => fleet.actors.every((actor) => actor.isLive));
    pages.push(await read(`http://127.0.0.1:${port}/metrics`));
    fleet.release();
    await node.stop();
    const output = node.outputFiles.map((file) => readFileSync(file, "utf8")).join("");
    const all = [output, ...pages].join("\n");
    tell(
      `${refused} refusals, ${damaged.length} damaged rows, ${all.length} characters of output and metrics`,
    );
    expect(secretsIn(all, world, fleet.history)).toEqual([]);
    expect(output).toContain("damaged");
    expect(pages[0]).toContain("interline_");
  } finally {
    fleet.release();
    if (node.pid !== undefined) await node.kill();
  }
});

test("control: a node that logs a refused token is caught", async () => {
  const mutant = buildMutant("tokenLogged");
  const world = makeWorld();
  const node = await NodeUnderTest.create({ world, build: mutant.build });
  try {
    await node.start();
    const device = world.devices[0] as WorldDevice;
    const other = world.brands[1]?.key;
    expect(secretsIn(node.output, world)).toEqual([]);
    await Stranger.open({
      port: node.port,
      token: mint(device, other === undefined ? {} : { key: other }),
    }).catch(() => {});
    await until("the token is in the log", () => secretsIn(node.output, world).length > 0);
  } finally {
    await node.discard();
    mutant.remove();
  }
});
