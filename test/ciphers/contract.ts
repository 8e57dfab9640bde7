/** What every cipher must do, with real keys at a real node: the suite that each of them passes. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountAddress, type DeviceAddress, formatAddress, numberedDevice } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import type { KeyKind, KeyStocks, KeyUpload, SuiteName } from "../../src/client/client.js";
import { encodeContent } from "../../src/client/content.js";
import { type GroupEnvelope, RepeatedPayload } from "../../src/client/encrypted-client.js";
import { keyKindNames } from "../../src/wire/keys.js";
import { type MakeCipher, Parties, type Party, readWith, textOf } from "./parties.js";

/** More one-time keys than any of the tests wants. */
const KEYS_ENOUGH = 100;

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waits = 0; !condition(); waits++) {
    if (waits > 1_000) throw new Error(`waited in vain: ${what}`);
    await delay(5);
  }
}

export function cipherContract<Suite extends SuiteName>(name: string, make: MakeCipher<Suite>): void {
  describe(`${name}: groups`, () => {
    let parties: Parties<Suite>;

    beforeEach(async () => {
      parties = await Parties.open(make);
    });
    afterEach(() => parties.close());

    /** Three people of three brands, the first with two devices, and their group. */
    async function trio() {
      const ana = await parties.join("whatsapp/ana/1");
      const tablet = await parties.join("whatsapp/ana/2");
      const chi = await parties.join("instagram/chi/1");
      const dov = await parties.join("messenger/dov/1");
      const { group } = await ana.encrypted.groups.create([chi.account, dov.account]);
      return { ana, tablet, chi, dov, group };
    }

    const allRead = (readers: readonly Party<Suite>[], text: string) =>
      until(() => readers.every((reader) => reader.texts().includes(text)), `everybody reads "${text}"`);

    const noneFailed = () => expect(parties.all.flatMap(({ unreadable }) => unreadable)).toEqual([]);

    test("everybody in a group of three brands reads everybody, on every device, once and as the right sender's", async () => {
      const { ana, tablet, chi, dov, group } = await trio();
      const all = [ana, tablet, chi, dov];
      for (const writer of all) {
        for (const round of [1, 2]) {
          const { durability, leftOut } = await writer.sendToGroup(group, `${writer.name} ${round}`);
          expect({ durability, leftOut }).toEqual({ durability: "disk", leftOut: [] });
        }
      }
      for (const writer of all)
        for (const round of [1, 2])
          await allRead(
            all.filter((reader) => reader !== writer),
            `${writer.name} ${round}`,
          );
      for (const reader of all) {
        const expected = all
          .filter((writer) => writer !== reader)
          .flatMap(({ name: from }) => [1, 2].map((round) => ({ text: `${from} ${round}`, from })));
        expect(reader.shown).toEqual(expected);
      }
      noneFailed();
    });

    test("everybody may write at once", async () => {
      const { ana, tablet, chi, dov, group } = await trio();
      const all = [ana, tablet, chi, dov];
      const texts = all.flatMap((writer) => [1, 2, 3].map((n) => ({ writer, text: `${writer.name} ${n}` })));
      await Promise.all(texts.map(({ writer, text }) => writer.sendToGroup(group, text)));
      for (const { writer, text } of texts)
        await allRead(
          all.filter((reader) => reader !== writer),
          text,
        );
      noneFailed();
    });

    test("who is added reads what is sent after, and nothing of what was sent before", async () => {
      const { ana, tablet, chi, dov, group } = await trio();
      await ana.sendToGroup(group, "before");
      await allRead([tablet, chi, dov], "before");
      const eve = await parties.join("messenger/eve/1");
      await ana.encrypted.groups.add(group, [eve.account]);
      await chi.sendToGroup(group, "after");
      await allRead([ana, tablet, dov, eve], "after");
      await eve.sendToGroup(group, "thank you");
      await allRead([ana, tablet, chi, dov], "thank you");
      expect(eve.texts()).toEqual(["after"]);
      const before = chi.stolen.filter(({ version }) => version === 1);
      expect(before.length).toBeGreaterThan(0);
      expect(await readWith(eve.cipher, before)).toEqual([]);
      noneFailed();
    });

    test("who is removed can read nothing that is sent after, with all that others were given", async () => {
      const { ana, tablet, chi, dov, group } = await trio();
      for (const writer of [ana, chi]) await writer.sendToGroup(group, `${writer.name} begins`);
      await until(() => dov.texts().length === 2, "dov reads both");
      await dov.client.close();
      await ana.sendToGroup(group, "the last that is for dov");
      await allRead([tablet, chi], "the last that is for dov");
      const { version } = await ana.encrypted.groups.remove(group, [dov.account]);
      const after = ["after 1", "after 2", "after 3"];
      const writers = [chi, ana, tablet];
      for (const [i, writer] of writers.entries()) await writer.sendToGroup(group, after[i] as string);
      const readers = [ana, tablet, chi];
      for (const [i, text] of after.entries())
        await allRead(
          readers.filter((reader) => reader !== writers[i]),
          text,
        );
      const stolen = readers.flatMap((reader) => reader.stolen);
      const since = (envelope: GroupEnvelope) => envelope.version >= version;
      // The same state and the same thief read what was sent before: the attempt is one that could succeed.
      expect(
        await readWith(
          dov.cipher,
          stolen.filter((envelope) => !since(envelope)),
        ),
      ).toContain("the last that is for dov");
      expect(
        new Set(stolen.filter(since).map(({ shared }) => shared.toString())).size,
      ).toBeGreaterThanOrEqual(3);
      expect(await readWith(dov.cipher, stolen.filter(since))).toEqual([]);
      noneFailed();
    });

    test("a member's new device reads after the group is renewed, and its removed device reads no more", async () => {
      const { ana, tablet, chi, dov, group } = await trio();
      await chi.sendToGroup(group, "before");
      await allRead([ana, tablet, dov], "before");
      const laptop = await parties.join("whatsapp/ana/3");
      await ana.client.devices.remove(2);
      const { version } = await ana.encrypted.groups.renew(group);
      await chi.sendToGroup(group, "after");
      await allRead([ana, laptop, dov], "after");
      const since = chi.stolen
        .concat(dov.stolen, laptop.stolen)
        .filter((envelope) => envelope.version >= version);
      expect(await readWith(tablet.cipher, since)).toEqual([]);
      expect(tablet.texts()).toEqual(["before"]);
      expect([ana, laptop, chi, dov].flatMap(({ unreadable }) => unreadable)).toEqual([]);
    });

    test("what is not intact, not the sender's or not the group's is refused, and the right one is still read", async () => {
      const { ana, chi, dov, group } = await trio();
      await ana.sendToGroup(group, "first");
      await allRead([chi, dov], "first");
      await dov.client.close();
      await ana.sendToGroup(group, "second");
      await allRead([chi], "second");
      const second = chi.stolen.at(-1) as GroupEnvelope;
      const flipped = second.shared.slice();
      flipped[flipped.length - 5] = (flipped[flipped.length - 5] as number) ^ 1;
      const otherGroup = second.address.slice();
      otherGroup[17] = (otherGroup[17] as number) ^ 1;
      const wrong = [
        { ...second, shared: flipped },
        { ...second, from: chi.address },
        { ...second, address: otherGroup },
        { ...second, shared: second.shared.slice(0, 20) },
        { ...second, shared: new Uint8Array(0) },
      ];
      for (const envelope of wrong) await expect(dov.cipher.decryptFromGroup(envelope)).rejects.toThrow();
      const plaintext = await dov.cipher.decryptFromGroup({ ...second, block: new Uint8Array(0) });
      expect(textOf(plaintext as Uint8Array, second.from)).toBe("second");
      await expect(dov.cipher.decryptFromGroup(second)).rejects.toBeInstanceOf(RepeatedPayload);
    });
  });
}

/** For ciphers that encrypt for single devices too. */
export function directContract<Suite extends SuiteName>(name: string, make: MakeCipher<Suite>): void {
  describe(`${name}: direct`, () => {
    let parties: Parties<Suite>;

    beforeEach(async () => {
      parties = await Parties.open(make);
    });
    afterEach(() => parties.close());

    test("every device of the recipient and of the sender reads it once, also one that the sender did not know", async () => {
      const ana = await parties.join("whatsapp/ana/1");
      const tablet = await parties.join("whatsapp/ana/2");
      const chi = await parties.join("instagram/chi/1");
      await ana.send(chi, "one");
      await chi.send(ana, "two");
      const laptop = await parties.join("instagram/chi/2");
      const phone = await parties.join("whatsapp/ana/3");
      await ana.send(chi, "three");
      await until(() => laptop.shown.length === 1 && phone.shown.length === 1, "the new devices read");
      await until(() => chi.shown.length === 2 && tablet.shown.length === 3, "the old ones read");
      expect(ana.texts()).toEqual(["two"]);
      expect(tablet.shown).toEqual([
        { text: "one", from: ana.name },
        { text: "two", from: chi.name },
        { text: "three", from: ana.name },
      ]);
      expect(parties.all.flatMap(({ unreadable }) => unreadable)).toEqual([]);
    });

    test("a sender's other devices get a transcript that says to whom it went, others do not", async () => {
      const ana = await parties.join("whatsapp/ana/1");
      const tablet = await parties.join("whatsapp/ana/2");
      const chi = await parties.join("instagram/chi/1");
      const dov = await parties.join("messenger/dov/1");
      const plaintext = new TextEncoder().encode("to both");
      await ana.encrypted.send({ to: [chi.account, ana.account, dov.account, chi.account], plaintext });
      await ana.send(dov, "to dov");
      await ana.encrypted.sendToOwn({ to: [], plaintext: new TextEncoder().encode("to myself") });
      await until(() => tablet.shown.length === 3, "the tablet shows all");
      const [toChi, toDov] = [chi, dov].map(({ account }) => formatAddress(account));
      expect(tablet.transcripts).toEqual([
        { text: "to both", to: [toChi, toDov] },
        { text: "to dov", to: [toDov] },
        { text: "to myself", to: [] },
      ]);
      expect(tablet.shown.every(({ from }) => from === ana.name)).toBe(true);
      await until(() => chi.shown.length === 1 && dov.shown.length === 2, "the others read");
      expect([...chi.transcripts, ...dov.transcripts, ...ana.shown]).toEqual([]);
      await tablet.encrypted.sendToOwn({ to: [], plaintext });
      await until(() => ana.transcripts.length === 1, "and the other way round");
      expect(parties.all.flatMap(({ unreadable }) => unreadable)).toEqual([]);
    });

    test("what is for the own devices reaches one that the sender has not heard of, and no removed one", async () => {
      let release = () => {};
      const isHeld = new Promise<void>((resolve) => {
        release = resolve;
      });
      const ana = await parties.join("whatsapp/ana/1", make, { onMessage: () => isHeld });
      const tablet = await parties.join("whatsapp/ana/2");
      const toOwn = (text: string) =>
        ana.encrypted.sendToOwn({ to: [], plaintext: new TextEncoder().encode(text) });
      await toOwn("before");
      await until(() => tablet.shown.length === 1, "the tablet reads");
      // From here on its client hands nothing over, and so no notice of the account's devices.
      await tablet.encrypted.sendToOwn({ to: [], plaintext: new Uint8Array(1) });
      const laptop = await parties.join("whatsapp/ana/3");
      await laptop.client.devices.remove(2);
      const refusals: string[] = [];
      ana.client.on("refused", ({ error }) => refusals.push(error.code));
      await toOwn("after");
      await until(() => laptop.shown.length === 1, "the laptop reads");
      expect(refusals).toEqual(["rosterStale"]);
      expect([laptop.transcripts, tablet.texts()]).toEqual([[{ text: "after", to: [] }], ["before"]]);
      release();
    });

    test("nobody else can write a transcript, and an account of one device may send one to nobody", async () => {
      const ana = await parties.join("whatsapp/ana/1");
      const chi = await parties.join("instagram/chi/1");
      const namesake = await parties.join("messenger/ana/1");
      const forged = encodeContent({
        kind: "transcript",
        to: [chi.account],
        plaintext: new TextEncoder().encode("you wrote this"),
      });
      const { version } = await ana.client.roster(chi.account);
      for (const forger of [ana, namesake]) {
        const claim = (device: DeviceAddress) => forger.client.keys.claim(device, forger.cipher.suite);
        const payload = (await forger.cipher.encryptTo?.(forged, chi.address, claim)) as Uint8Array;
        const to = [
          { account: chi.account, version, devices: [{ device: 1, payload }] },
          { account: forger.account, version: 1, devices: [] },
        ];
        await forger.client.send({ to });
      }
      await until(() => chi.unreadable.length === 2, "chi refuses both");
      expect(String(chi.unreadable[0])).toContain("transcript");
      await ana.encrypted.sendToOwn({ to: [chi.account], plaintext: new TextEncoder().encode("alone") });
      await ana.send(chi, "honest");
      await until(() => chi.shown.length === 1, "chi reads");
      expect([chi.texts(), chi.transcripts, ana.shown]).toEqual([["honest"], [], []]);
    });

    test("both sides may open at the same moment", async () => {
      const ana = await parties.join("whatsapp/ana/1");
      const chi = await parties.join("instagram/chi/1");
      for (let round = 0; round < 4; round++)
        await Promise.all([ana.send(chi, `to chi ${round}`), chi.send(ana, `to ana ${round}`)]);
      await until(() => ana.shown.length === 4 && chi.shown.length === 4, "both read all");
      expect([...ana.unreadable, ...chi.unreadable]).toEqual([]);
    });

    test("a payload is read once, by its device, as its sender's, and intact", async () => {
      const ana = await parties.join("whatsapp/ana/1");
      const chi = await parties.join("instagram/chi/1");
      const namesake = await parties.join("messenger/chi/1");
      for (const reader of [chi, namesake]) {
        await ana.send(reader, "open");
        await reader.send(ana, "open");
      }
      await until(() => ana.shown.length === 2, "the ratchets turn");
      await chi.client.close();
      await ana.send(chi, "for chi alone");
      const sealed = await ana.cipher.encryptTo?.(new TextEncoder().encode("stolen"), chi.address, () => {
        throw new Error("there is a conversation");
      });
      const payload = sealed as Uint8Array;
      const flipped = payload.slice();
      flipped[flipped.length - 20] = (flipped[flipped.length - 20] as number) ^ 1;
      const decrypt = (cipher: typeof chi.cipher, bytes: Uint8Array, from = ana.address) =>
        cipher.decryptFrom?.(bytes, from) as Promise<Uint8Array>;
      await expect(decrypt(namesake.cipher, payload)).rejects.toThrow();
      await expect(decrypt(chi.cipher, payload, namesake.address)).rejects.toThrow();
      await expect(decrypt(chi.cipher, flipped)).rejects.toThrow();
      expect(new TextDecoder().decode(await decrypt(chi.cipher, payload))).toBe("stolen");
      await expect(decrypt(chi.cipher, payload)).rejects.toBeInstanceOf(RepeatedPayload);
    });
  });
}

/** `lasting`: a kind of key that the cipher has one of at the node, and makes anew. */
export function keysContract<Suite extends SuiteName>(
  name: string,
  make: MakeCipher<Suite>,
  lasting: KeyKind,
): void {
  describe(`${name}: keys`, () => {
    let parties: Parties<Suite>;

    beforeEach(async () => {
      parties = await Parties.open(make);
    });
    afterEach(() => parties.close());

    const digestOf = async ({ client }: Party<Suite>) =>
      toHex((await client.keys.digest()).kinds[lasting].digest);

    /** Has somebody open a conversation, who is slow: what he encrypts with the keys of now he sends when `deliver` is called. */
    async function slowly(from: Party<Suite>, to: Party<Suite>, text: string) {
      const content = encodeContent({ kind: "message", plaintext: new TextEncoder().encode(text) });
      const claim = (device: DeviceAddress) => from.client.keys.claim(device, from.cipher.suite);
      const payload = (await from.cipher.encryptTo?.(content, to.address, claim)) as Uint8Array;
      const { version } = await from.client.roster(to.account);
      return () =>
        from.client.send({
          to: [
            { account: to.account, version, devices: [{ device: 1, payload }] },
            { account: from.account, version: 1, devices: [] },
          ],
        });
    }

    test("what was encrypted with a key that has a successor is still read, and after its time it is not", async () => {
      const keyKeptMs = 3600_000;
      let laterMs = 0;
      const aging = async (address: DeviceAddress) => {
        const cipher = await make(address);
        const refill = cipher.refill.bind(cipher);
        cipher.refill = (stocks, times) => refill(stocks, { ...times, nowMs: times.nowMs + laterMs });
        return cipher;
      };
      const chi = await parties.join("instagram/chi/1", aging, { keyKeptMs });
      const [ana, dov, eve] = await Promise.all(
        ["whatsapp/ana/1", "messenger/dov/1", "messenger/eve/1"].map((who) => parties.join(who)),
      );
      const before = await digestOf(chi);
      const inTime = await slowly(ana as Party<Suite>, chi, "in time");
      const tooLate = await slowly(dov as Party<Suite>, chi, "too late");
      await chi.encrypted.renewKeys();
      expect(await digestOf(chi)).not.toBe(before);
      laterMs = keyKeptMs / 2;
      await chi.encrypted.publishKeys();
      await inTime();
      await until(() => chi.texts().includes("in time"), "chi reads what was under way");
      laterMs = keyKeptMs;
      await chi.encrypted.publishKeys();
      await tooLate();
      await until(() => chi.unreadable.length === 1, "chi cannot read what came too late");
      await (eve as Party<Suite>).send(chi, "with the new key");
      await until(() => chi.texts().includes("with the new key"), "chi reads what was begun after");
      expect(chi.texts()).toEqual(["in time", "with the new key"]);
    });

    test("a successor that the node is not known to have is offered again, the same", async () => {
      const cipher = await make(numberedDevice(accountAddress(1, new Uint8Array(16).fill(7)), 1));
      const stocks = (count: number) =>
        Object.fromEntries(keyKindNames.map((kind) => [kind, { count, claimedThrough: 0 }])) as KeyStocks;
      const at = (nowMs: number, count = KEYS_ENOUGH) =>
        cipher.refill(stocks(count), { nowMs, ageMs: 1_000, keptMs: 10_000 });
      const first = await at(0, 0);
      expect((await at(1, 0))?.[lasting]).toEqual(first?.[lasting]);
      // What is stored there may be another's who had this device's number before.
      expect(await at(2)).toEqual(first);
      cipher.uploaded?.(first as KeyUpload, 3);
      expect(await at(999)).toBeUndefined();
      const successor = (await at(1_000))?.[lasting];
      expect(successor).toHaveLength(1);
      expect(successor).not.toEqual(first?.[lasting]);
      expect((await at(5_000))?.[lasting]).toEqual(successor);
    });

    test("keys are made anew by age while the app runs, and young ones are left alone", async () => {
      const chi = await parties.join("instagram/chi/1", make, { keyAgeMs: 1_000 });
      const ana = await parties.join("whatsapp/ana/1");
      const seen = new Set<string>();
      // Few looks: the node counts them.
      for (let looks = 0; seen.size < 3 && looks < 12; looks++) {
        seen.add(await digestOf(chi));
        await delay(500);
      }
      expect(seen.size).toBe(3);
      await ana.send(chi, "hello");
      await until(() => chi.texts().includes("hello"), "chi reads");
      const still = await digestOf(ana);
      await ana.encrypted.publishKeys();
      expect(await digestOf(ana)).toBe(still);
    });
  });
}
