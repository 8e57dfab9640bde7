/** The Python client and what is never stored: signals to devices and to groups, and presence. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import type { Client } from "../../src/client/client.js";
import { type PythonClient, type PythonEvent, withPython } from "./python-client.js";

withPython("the Python client's signals", (world) => {
  const { sdk, startPython, connectPython, accountHex } = world;

  /** The next event of this name, past others that may come between. */
  async function next(client: PythonClient, name: string, ...between: string[]): Promise<PythonEvent> {
    for (;;) {
      const event = await client.expect(name, ...between);
      if (event.event === name) return event;
    }
  }

  async function ask(client: PythonClient, method: string, body: object): Promise<PythonEvent> {
    client.do({ do: "request", method, body });
    return next(client, "answer", "notice", "presence");
  }

  /** What a device hears as signals: texts in hex, and from whom; of groups, from which. */
  function heardBy(client: Client): string[] {
    const heard: string[] = [];
    client.on("signal", ({ sender, payload, group }) => {
      const from = toHex(sender as Uint8Array);
      heard.push([from, toHex(payload), ...(group === undefined ? [] : [toHex(group)])].join(" "));
    });
    return heard;
  }

  test("go to and come from accounts with which both have agreed, and nowhere without", async () => {
    const [cal, dee] = [
      { brand: "whatsapp", account: "cal", device: 1 },
      { brand: "instagram", account: "dee", device: 2 },
    ];
    const other = await sdk(dee);
    const heard = heardBy(other);
    const client = startPython();
    await connectPython(client, cal);
    await client.expect("live");
    const [calHex, deeHex] = [accountHex(cal), accountHex(dee)];
    const [calDevice, deeDevice] = [cal, dee].map((name) => toHex(world.node.address(name))) as [
      string,
      string,
    ];
    const signal = (payload: string) =>
      client.do({
        do: "signal",
        to: [
          [deeHex, 2],
          [deeHex, 9],
        ],
        payload,
      });
    const both = { account: `0x${deeHex}`, covers: 3 };

    signal("01");
    expect(await ask(client, "contacts.allow", both)).toMatchObject({ code: 0, body: {} });
    signal("02");
    expect(await ask(client, "presence.watch", {})).toMatchObject({ code: 0 });
    const offline = await next(client, "presence");
    expect(offline).toMatchObject({ online: "", offline: deeHex });

    await other.contacts.allow(Buffer.from(calHex, "hex"));
    expect(await next(client, "presence")).toMatchObject({ online: deeHex, offline: "" });
    signal("03");
    while (heard.length === 0) await other.once("signal");
    expect(heard).toEqual([`${calDevice} 03`]);
    other.signal({
      to: [{ account: Buffer.from(calHex, "hex"), devices: [{ device: 1, payload: Uint8Array.of(4) }] }],
    });
    expect(await next(client, "signal")).toMatchObject({ sender: deeDevice, payload: "04" });

    expect(await ask(client, "contacts.list", {})).toMatchObject({
      body: { accounts: `0x${deeHex}`, covers: "0x03" },
    });
    expect(await ask(client, "contacts.withdraw", { ...both, covers: 1 })).toMatchObject({ code: 0 });
    signal("05");
    other.signal({
      to: [{ account: Buffer.from(calHex, "hex"), devices: [{ device: 1, payload: Uint8Array.of(6) }] }],
    });
    // What comes after it in the same order says that it went nowhere.
    expect(await ask(client, "contacts.allow", both)).toMatchObject({ code: 0 });
    signal("07");
    while (heard.length === 1) await other.once("signal");
    expect(heard).toEqual([`${calDevice} 03`, `${calDevice} 07`]);
    other.signal({
      to: [{ account: Buffer.from(calHex, "hex"), devices: [{ device: 1, payload: Uint8Array.of(8) }] }],
    });
    expect(await next(client, "signal")).toMatchObject({ payload: "08" });

    await other.close();
    expect(await next(client, "presence")).toMatchObject({ online: "", offline: deeHex });
    expect(await client.close()).toBe("");
  });

  test("go to and come from a group's members, and a removed one neither sends nor gets any", async () => {
    const [eli, fox, gus] = [
      { brand: "whatsapp", account: "eli", device: 1 },
      { brand: "instagram", account: "fox", device: 1 },
      { brand: "messenger", account: "gus", device: 1 },
    ];
    const others = [await sdk(fox), await sdk(gus)] as [Client, Client];
    const heard = others.map(heardBy) as [string[], string[]];
    const client = startPython();
    await connectPython(client, eli);
    await client.expect("live");
    const accounts = `0x${accountHex(fox)}${accountHex(gus)}`;
    const told = others.map((one) => one.once("group"));
    const created = await ask(client, "groups.create", { accounts });
    const { group } = created.body as { readonly group: string };
    const address = Buffer.from(group.slice(2), "hex");
    await next(client, "notice");
    await Promise.all(told);

    const from = toHex(world.node.address(eli));
    const signal = (payload: string) => client.do({ do: "groupSignal", group: group.slice(2), payload });
    // While the making of the group is being told, signals to it go nowhere.
    while (heard.some(({ length }) => length === 0)) {
      signal("aa");
      await delay(20);
    }
    expect(heard.map((one) => [...new Set(one)])).toEqual(Array(2).fill([`${from} aa ${group.slice(2)}`]));
    others[1].signal({ group: address, payload: Uint8Array.of(0xbb) });
    expect(await client.expect("groupSignal")).toEqual({
      event: "groupSignal",
      sender: toHex(world.node.address(gus)),
      group: group.slice(2),
      payload: "bb",
    });

    const removed = await ask(client, "groups.remove", {
      group,
      version: 1,
      accounts: `0x${accountHex(gus)}`,
    });
    expect(removed).toMatchObject({ code: 0, body: { version: 2 } });
    const isBack = () => heard[0].at(-1) === `${from} dd ${group.slice(2)}`;
    while (!isBack()) {
      signal("dd");
      await delay(20);
    }
    others[1].signal({ group: address, payload: Uint8Array.of(0xcc) });
    // Its answer says that the node has read what went before it.
    await others[1].roster(Buffer.from(accountHex(fox), "hex"));
    others[0].signal({ group: address, payload: Uint8Array.of(0xee) });
    const fromMember = await next(client, "groupSignal", "notice");
    expect(fromMember).toMatchObject({ sender: toHex(world.node.address(fox)), payload: "ee" });
    expect(heard[1].some((one) => one.includes(" dd "))).toBe(false);
    // A group that is none, or not its own, tells nothing; one byte too many ends the connection.
    client.do({ do: "groupSignal", group: `0001${"77".repeat(16)}`, payload: "00" });
    signal("ff".repeat(4_096));
    while (!heard[0].some((one) => one.includes("ffff"))) await others[0].once("signal");
    signal("ff".repeat(4_097));
    expect(await next(client, "ended", "groupSignal", "notice")).toMatchObject({
      code: 101,
      closeCode: 4101,
    });
  });
});
