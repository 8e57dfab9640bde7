/**
 * A client in another language, written from docs/protocol.md alone, against a
 * real node and the SDK: sends, groups and keys of a device that is signed in.
 */
import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { requestTo, Taken } from "../client/contract.js";
import { type PythonClient, type PythonEvent, withPython } from "./python-client.js";

withPython("the Python client", (world) => {
  const { sdk, startPython, connectPython, accountHex } = world;

  test("signs in, sends to a device of another brand, receives and acks", async () => {
    const [alice, bob] = [
      { brand: "whatsapp", account: "alice", device: 1 },
      { brand: "instagram", account: "bob", device: 3 },
    ];
    const other = await sdk(bob);
    const taken = new Taken(other);
    const client = startPython();
    expect(await connectPython(client, alice)).toMatchObject({
      device: toHex(world.node.address(alice)),
      position: 0,
      durability: "disk",
      payloadBytesMax: 98_304,
    });
    await client.expect("live");

    client.do({ do: "send", to: [accountHex(bob)], payload: "c0ffee" });
    const receipt = await client.expect("receipt");
    expect(receipt).toMatchObject({ durability: 2 });
    const [envelope] = await taken.count(1);
    expect(toHex(envelope?.id as Uint8Array)).toBe(receipt.id);
    expect(toHex(envelope?.sender as Uint8Array)).toBe(toHex(world.node.address(alice)));
    expect(toHex(envelope?.payload as Uint8Array)).toBe("c0ffee");

    await other.send(await requestTo(other, `1/${accountHex(alice).slice(4)}`, Uint8Array.of(0xbe, 0xef)));
    const received = await client.expect("envelope");
    expect(received).toMatchObject({ sender: toHex(world.node.address(bob)), payload: "beef" });
    client.do({ do: "ack", sequence: received.sequence });
    expect(await client.close()).toBe("");
  });

  test("corrects a stale roster from the refusal and sends again under the same id", async () => {
    const [carol, dave] = [
      { brand: "messenger", account: "carol", device: 1 },
      { brand: "whatsapp", account: "dave", device: 1 },
    ];
    const first = new Taken(await sdk(dave));
    const client = startPython();
    await connectPython(client, carol);
    await client.expect("live");
    client.do({ do: "send", to: [accountHex(dave)], payload: "01" });
    await client.expect("receipt");

    const second = new Taken(await sdk({ ...dave, device: 2 }));
    client.do({ do: "send", to: [accountHex(dave)], payload: "02" });
    const refused = await client.expect("refused");
    expect(refused).toMatchObject({
      code: 301,
      rosters: [{ account: accountHex(dave), version: 2, missing: [2], surplus: [] }],
    });
    expect(await client.expect("receipt")).toMatchObject({ id: refused.id });
    expect((await first.count(2)).map(({ payload }) => payload[0])).toEqual([1, 2]);
    expect((await second.count(1)).map(({ payload }) => payload[0])).toEqual([2]);
  });

  test("resumes after a cut: what it did not ack comes again in order, what it sent arrives once", async () => {
    const [erin, frank] = [
      { brand: "instagram", account: "erin", device: 1 },
      { brand: "messenger", account: "frank", device: 1 },
    ];
    const other = await sdk(frank);
    const taken = new Taken(other);
    const client = startPython();
    await connectPython(client, erin);
    await client.expect("live");
    const toErin = async (byte: number) =>
      other.send(await requestTo(other, `2/${accountHex(erin).slice(4)}`, Uint8Array.of(byte)));

    for (const byte of [1, 2, 3]) await toErin(byte);
    const before = [];
    for (let i = 0; i < 3; i++) before.push(await client.expect("envelope"));
    client.do({ do: "ack", sequence: before[0]?.sequence });
    // The receipt of a later send shows that the ack was read.
    client.do({ do: "send", to: [accountHex(frank)], payload: "0a" });
    await client.expect("receipt");

    client.do({ do: "send", to: [accountHex(frank)], payload: "0b" });
    client.do({ do: "cut" });
    let event = await client.expect("receipt", "ended");
    const receiptedEarly = event.event === "receipt";
    if (receiptedEarly) event = await client.expect("ended");
    for (const byte of [4, 5]) await toErin(byte);

    expect(await connectPython(client, erin)).toMatchObject({ position: before[0]?.sequence });
    const after: unknown[] = [];
    let receipts = receiptedEarly ? 1 : 0;
    while (after.length < 5 || receipts < 1) {
      const next = await client.expect("repeated", "envelope", "live", "receipt");
      if (next.event === "receipt") receipts += 1;
      else if (next.event === "envelope") after.push(next.payload);
      else if (next.event === "live") after.push("live");
    }
    expect(after).toEqual(["02", "03", "04", "05", "live"]);
    // Everything between the brands has passed: nothing came twice.
    client.do({ do: "send", to: [accountHex(frank)], payload: "0c" });
    await client.expect("receipt");
    expect((await taken.count(3)).map(({ payload }) => payload[0])).toEqual([10, 11, 12]);
  });

  const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;

  /** The next notice about a group, past whatever else comes. */
  async function groupNotice(client: PythonClient): Promise<{ readonly [key: string]: unknown }> {
    for (;;) {
      const { event, body } = await client.expect("notice", "live", "receipt", "answer");
      if (event === "notice") return body as { readonly [key: string]: unknown };
    }
  }

  test("makes a group, sends to it, hears of its changes, and removes a member", async () => {
    const [olga, pia, quin] = [
      { brand: "whatsapp", account: "olga", device: 1 },
      { brand: "instagram", account: "pia", device: 1 },
      { brand: "messenger", account: "quin", device: 2 },
    ];
    const [piaClient, quinClient] = [await sdk(pia), await sdk(quin)];
    const [piaTaken, quinTaken] = [new Taken(piaClient), new Taken(quinClient)];
    const removals: number[] = [];
    quinClient.on("group", ({ event, version }) => void (event === "removed" && removals.push(version)));
    const client = startPython();
    await connectPython(client, olga);
    await client.expect("live");
    const ask = async (method: string, body: object) => {
      client.do({ do: "request", method, body });
      for (;;) {
        const event = await client.expect("answer", "notice");
        if (event.event === "answer") return event as PythonEvent & { readonly body: object };
      }
    };

    const created = await ask("groups.create", { accounts: `0x${accountHex(pia)}` });
    expect(created).toMatchObject({ code: 0, body: { version: 1 } });
    const { group } = created.body as { readonly group: string };
    expect(await groupNotice(client)).toMatchObject({ group, version: 1, event: "created", accounts: "0x" });

    // What comes of it: 45, to Pia with a block of her own.
    const block = [accountHex(pia), 1, "b10c"];
    client.do({ do: "groupSend", group: group.slice(2), payload: "aa", blocks: [block] });
    const receipt = await client.expect("receipt");
    const [first] = await piaTaken.count(1);
    expect(toHex(first?.id as Uint8Array)).toBe(receipt.id);
    expect([first?.payload, first?.block].map((one) => one && toHex(one))).toEqual(["aa01", "b10c"]);

    client.do({
      do: "request",
      method: "groups.add",
      body: { group, version: 1, accounts: `0x${accountHex(quin)}` },
    });
    const added = { group, version: 2, event: "added", accounts: `0x${accountHex(quin)}` };
    expect(await groupNotice(client)).toMatchObject({ ...added, by: `0x${accountHex(olga)}` });
    await piaClient.sendToGroup({
      group: Buffer.from(group.slice(2), "hex"),
      version: 2,
      shared: Uint8Array.of(0xbb),
    });
    let event = await client.expect("envelope", "answer");
    if (event.event === "answer") event = await client.expect("envelope");
    expect(event).toMatchObject({ payload: "bb", group: group.slice(2), version: 2, block: "" });
    expect((await quinTaken.count(1)).map(({ payload }) => toHex(payload))).toEqual(["bb"]);

    const stale = await ask("groups.remove", { group, version: 1, accounts: `0x${accountHex(quin)}` });
    expect(stale).toMatchObject({ code: 311, body: { version: 2 } });
    const removed = await ask("groups.remove", { group, version: 2, accounts: `0x${accountHex(quin)}` });
    expect(removed).toMatchObject({ code: 0, body: { version: 3 } });
    const roster = await ask("groups.get", { group });
    const accounts = `0x${accountHex(olga)}${accountHex(pia)}`;
    expect(roster).toMatchObject({ code: 0, body: { version: 3, accounts, roles: "0x0102" } });
    client.do({ do: "groupSend", group: group.slice(2), payload: "cc", blocks: [] });
    expect((await piaTaken.count(2)).map(({ payload }) => toHex(payload))).toEqual(["aa01", "cc03"]);
    while (removals.length === 0) await quinClient.once("group");
    expect(removals).toEqual([3]);
    expect(quinTaken.envelopes).toHaveLength(1);
    expect(await client.close()).toBe("");
  });

  test("makes an envelope anew for the roster of now when the group has changed meanwhile", async () => {
    const [rita, sven, tara] = [
      { brand: "whatsapp", account: "rita", device: 1 },
      { brand: "instagram", account: "sven", device: 1 },
      { brand: "messenger", account: "tara", device: 1 },
    ];
    const other = await sdk(sven);
    const taken = new Taken(other);
    const newcomer = new Taken(await sdk(tara));
    const client = startPython();
    await connectPython(client, rita);
    await client.expect("live");
    const { group } = await other.groups.create([`1/${accountHex(rita).slice(4)}`]);
    const { sequence } = await client.expect("notice");
    client.do({ do: "ack", sequence });
    client.do({ do: "groupSend", group: toHex(group), payload: "aa", blocks: [] });
    await client.expect("receipt");

    client.do({ do: "cut" });
    await client.expect("ended");
    await other.groups.add({ group, version: 1, accounts: [`3/${accountHex(tara).slice(4)}`] });
    client.do({ do: "groupSend", group: toHex(group), payload: "bb", blocks: [] });
    await connectPython(client, rita);
    const ids = [];
    for (const wanted of ["repeated", "refused", "receipt"]) {
      let event = await client.expect(wanted, "notice", "live");
      while (event.event !== wanted) event = await client.expect(wanted, "notice", "live");
      ids.push(event.id ?? (event.ids as string[])[0]);
      if (wanted === "refused") expect(event).toMatchObject({ code: 311 });
    }
    expect(new Set(ids).size).toBe(1);
    expect((await taken.count(2)).map(({ payload }) => toHex(payload))).toEqual(["aa01", "bb02"]);
    expect((await newcomer.count(1)).map(({ payload }) => toHex(payload))).toEqual(["bb02"]);
    expect(await client.close()).toBe("");
  });

  test("stores its keys, finds them stored as its record says, and claims another device's", async () => {
    const [uma, vera] = [
      { brand: "whatsapp", account: "uma", device: 1 },
      { brand: "instagram", account: "vera", device: 7 },
    ];
    const other = await sdk(vera);
    const client = startPython();
    await connectPython(client, uma);
    await client.expect("live");

    const keys = {
      identity: [[5, "1d"]],
      signedPreKey: [[1, "51"]],
      preKey: [1, 2].map((id) => [id, `e${id}`]),
    };
    client.do({ do: "upload", keys: { ...keys, kyberPreKey: [[9, "b9"]], lastResortKyber: [[1, "7e"]] } });
    const stock = await client.expect("answer");
    expect(stock).toMatchObject({ code: 0, body: { preKey: { count: 2, claimedThrough: 0 } } });
    const all = ["identity", "signedPreKey", "lastResortKyber", "lastResortKeyPackage"];
    const equal = Object.fromEntries(
      [...all, "preKey", "kyberPreKey", "keyPackage"].map((kind) => [kind, true]),
    );
    client.do({ do: "compare" });
    expect((await client.expect("compared")).kinds).toEqual(equal);

    const [first, second] = [await claimed(), await claimed()];
    async function claimed() {
      const bundle = await other.keys.claim(world.node.address(uma), "signal");
      return [bundle.preKey, bundle.kyberPreKey].map((key) => key && `${key.id} ${toHex(key.key)}`);
    }
    expect([first, second]).toEqual([
      ["1 e1", "9 b9"],
      ["2 e2", "1 7e"],
    ]);
    // What was handed out is left out of the record; that the stock is low is told.
    await client.expect("notice");
    client.do({ do: "compare" });
    let compared = await client.expect("compared", "notice");
    while (compared.event !== "compared") compared = await client.expect("compared", "notice");
    expect(compared.kinds).toEqual(equal);

    const key = (id: number) => ({ id, key: Uint8Array.of(id) });
    await other.keys.upload({ keyPackage: [key(3)], lastResortKeyPackage: [key(8)] });
    const claim = async (suite: string) => {
      client.do({
        do: "request",
        method: "keys.claim",
        body: { device: hex(world.node.address(vera)), suite },
      });
      let answer = await client.expect("answer", "notice");
      while (answer.event !== "answer") answer = await client.expect("answer", "notice");
      return [answer.code, answer.body];
    };
    expect(await claim("mls")).toEqual([0, { keyPackage: { id: 3, key: "0x03" } }]);
    expect(await claim("mls")).toEqual([0, { lastResortKeyPackage: { id: 8, key: "0x08" } }]);
    expect(await claim("signal")).toEqual([620, {}]);
    expect(await client.close()).toBe("");
  });

  test("is told why a bad token does not sign it in", async () => {
    const client = startPython();
    client.do({ do: "connect", url: world.node.url, token: "not a token" });
    expect(await client.expect("ended")).toMatchObject({ code: 201, closeCode: 4201 });
  });

  test("is told when a newer connection of the same device takes over", async () => {
    const name = { brand: "whatsapp", account: "grace", device: 1 };
    const client = startPython();
    await connectPython(client, name);
    await client.expect("live");
    await sdk(name);
    expect(await client.expect("ended")).toMatchObject({ code: 501, closeCode: 4501 });
  });
});
