/** The Python client signed in as nobody: sealed sends to one account and to several, claims of keys, and what it may not do. */
import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import type { Client, SealedEnvelope } from "../../src/client/client.js";
import { withPython } from "./python-client.js";

const nobodyHex = `0000${"ff".repeat(16)}0000`;

withPython("the Python client as nobody", (world) => {
  const { sdk, startPython, connectPython, connectAsNobody, accountHex } = world;

  const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;

  /** A device that hears what comes sealed, and its account's delivery token. */
  async function open(name: { brand: string; account: string; device: number }) {
    const client = await sdk(name);
    const heard: SealedEnvelope[] = [];
    client.on("sealed", (envelope) => {
      heard.push({
        ...envelope,
        id: envelope.id.slice() as typeof envelope.id,
        payload: envelope.payload.slice(),
      });
    });
    return { client, heard };
  }

  const until = async (heard: readonly unknown[], count: number, client: Client) => {
    while (heard.length < count) await client.once("sealed");
  };

  test("sends to all devices of an account, learning them, and knows the id they get it under", async () => {
    const [yara, other] = [
      { brand: "instagram", account: "yara", device: 1 },
      { brand: "instagram", account: "yara", device: 4 },
    ];
    const phone = await open(yara);
    const tablet = await open(other);
    const token = phone.client.deliveryToken.make();
    await phone.client.deliveryToken.set(token);
    const client = startPython();
    await connectAsNobody(client, "messenger");

    client.do({ do: "sealedSend", to: accountHex(yara), token: toHex(token), payload: "5ea1" });
    const stale = await client.expect("refused");
    expect(stale).toMatchObject({
      code: 301,
      rosters: [{ account: accountHex(yara), version: 2, missing: [1, 4], surplus: [] }],
    });
    const receipt = await client.expect("receipt");
    expect(receipt).toMatchObject({ id: stale.id, durability: 2 });
    expect(receipt.deliveredId).not.toBe(receipt.id);
    for (const [i, { heard, client: reader }] of [phone, tablet].entries()) {
      await until(heard, 1, reader);
      const [envelope] = heard as [SealedEnvelope];
      expect([toHex(envelope.payload), toHex(envelope.id), envelope.block]).toEqual([
        `5ea10${[1, 4][i]}`,
        receipt.deliveredId,
        undefined,
      ]);
    }

    // What had no answer is repeated over another connection of nobody, and comes once.
    client.do({ do: "sealedSend", to: accountHex(yara), token: toHex(token), payload: "0b" });
    await client.expect("refused");
    client.do({ do: "cut" });
    let event = await client.expect("receipt", "ended");
    const isReceipted = event.event === "receipt";
    if (isReceipted) event = await client.expect("ended");
    await connectAgain(client);
    client.do({ do: "sealedSend", to: accountHex(yara), token: toHex(token), payload: "0c" });
    const wanted = isReceipted ? 1 : 2;
    for (let receipts = 0; receipts < wanted; ) {
      const next = await client.expect("receipt", "refused", "repeated", "live");
      if (next.event === "receipt") receipts++;
    }
    await until(phone.heard, 3, phone.client);
    expect(phone.heard.map(({ payload }) => toHex(payload))).toEqual(["5ea101", "0b01", "0c01"]);
    expect(await client.close()).toBe("");
  });

  async function connectAgain(client: ReturnType<typeof startPython>) {
    const token = await world.node.mintAnonymousToken({ brand: "messenger" });
    client.do({ do: "connect", url: world.node.url, token });
    await client.expect("welcome");
  }

  test("is told of a token that opens nothing alike, whether or not there is such an account", async () => {
    const zoe = { brand: "whatsapp", account: "zoe", device: 1 };
    const closed = { brand: "whatsapp", account: "abe", device: 1 };
    const reader = await open(zoe);
    await sdk(closed);
    const token = reader.client.deliveryToken.make();
    await reader.client.deliveryToken.set(token);
    const client = startPython();
    await connectAsNobody(client, "messenger");
    const refusals = [];
    for (const [to, offered] of [
      [accountHex(zoe), "ee".repeat(16)],
      [accountHex(closed), toHex(token)],
      [`0001${"77".repeat(16)}`, toHex(token)],
    ]) {
      client.do({ do: "sealedSend", to, token: offered, payload: "00" });
      const { id, ...refused } = await client.expect("refused");
      refusals.push(refused);
    }
    expect(refusals).toEqual(Array(3).fill({ event: "refused", code: 220, retryAfterMs: 0, rosters: [] }));
    await reader.client.deliveryToken.revoke();
    client.do({ do: "sealedSend", to: accountHex(zoe), token: toHex(token), payload: "00" });
    expect(await client.expect("refused")).toMatchObject({ code: 220 });
    expect(reader.heard).toEqual([]);
  });

  test("sends to several accounts as nobody, learning their devices, and is told which token opens nothing", async () => {
    const [wes, xia] = [
      { brand: "instagram", account: "wes", device: 1 },
      { brand: "messenger", account: "xia", device: 2 },
    ];
    const clients = [await sdk(wes), await sdk(xia)];
    const heard: string[] = [];
    const tokens = clients.map((client, i) => {
      client.on("sealed", ({ payload, block }) =>
        heard.push(`${i} ${toHex(payload)} ${toHex(block as Uint8Array)}`),
      );
      return client.deliveryToken.make();
    });
    for (const [i, client] of clients.entries()) await client.deliveryToken.set(tokens[i] as Uint8Array);
    const client = startPython();
    expect(await connectAsNobody(client, "whatsapp")).toMatchObject({ device: nobodyHex });

    const to = [wes, xia].map((name, i) => [accountHex(name), toHex(tokens[i] as Uint8Array)]);
    client.do({ do: "sealedSharedSend", shared: "c0ffee", to });
    const stale = await client.expect("refused");
    expect(stale).toMatchObject({
      code: 301,
      rosters: [
        { account: accountHex(wes), version: 1, missing: [1] },
        { account: accountHex(xia), version: 1, missing: [2] },
      ],
    });
    expect(await client.expect("receipt")).toMatchObject({ id: stale.id, durability: 2 });
    while (heard.length < 2) await Promise.race(clients.map((one) => one.once("sealed")));
    expect(heard.sort()).toEqual(["0 c0ffee 01", "1 c0ffee 02"]);

    await (clients[1] as Client).keys.upload({ keyPackage: [{ id: 4, key: Uint8Array.of(0x44) }] });
    const claim = async (deliveryToken: string) => {
      const body = {
        device: hex(world.node.address(xia)),
        suite: "mls",
        deliveryToken: `0x${deliveryToken}`,
      };
      client.do({ do: "request", method: "keys.claim", body });
      const { code, body: answer } = await client.expect("answer");
      return [code, answer];
    };
    const [first, second] = to as [string[], string[]];
    expect(await claim("ee".repeat(16))).toEqual([220, {}]);
    expect(await claim(second[1] as string)).toEqual([0, { keyPackage: { id: 4, key: "0x44" } }]);
    client.do({ do: "sealedSharedSend", shared: "00", to: [first, [second[0], "ee".repeat(16)]] });
    expect(await client.expect("refused")).toMatchObject({
      code: 220,
      accounts: accountHex(xia),
      rosters: [],
    });
    expect(await client.close()).toBe("");
  });

  test("may do nothing else as nobody, and may not send sealed as somebody", async () => {
    const name = { brand: "whatsapp", account: "ben", device: 1 };
    const account = accountHex(name);
    for (const command of [
      { do: "send", to: [account], payload: "00" },
      { do: "signal", to: [[account, 1]], payload: "00" },
      { do: "groupSignal", group: account, payload: "00" },
    ]) {
      const client = startPython();
      await connectAsNobody(client, "whatsapp");
      client.do(command);
      expect(await client.expect("ended"), command.do).toMatchObject({ code: 222, closeCode: 4222 });
    }
    const asked = startPython();
    await connectAsNobody(asked, "whatsapp");
    asked.do({ do: "request", method: "groups.list", body: {} });
    expect(await asked.expect("answer")).toMatchObject({ code: 601 });
    for (const command of [
      { do: "sealedSend", to: account, token: "ee".repeat(16), payload: "00" },
      { do: "sealedSharedSend", to: [[account, "ee".repeat(16)]], shared: "00" },
    ]) {
      const client = startPython();
      await connectPython(client, name);
      await client.expect("live");
      client.do(command);
      expect(await client.expect("ended"), command.do).toMatchObject({ code: 101, closeCode: 4101 });
    }
  });
});
