/** All people of the cast together, and conversations between them. */
import { accountIdFor } from "../../src/directory/development-brands.js";
import { brandNumbers, cast, phrases } from "./cast.js";
import type { Circle } from "./circle.js";
import { Person } from "./person.js";
import type { PersonDevice, World } from "./person-device.js";

/** A device has this many of its messages on their way at once. */
const LETTERS_AT_ONCE = 4;

/** One message of a conversation that is yet to be held. */
export interface Line {
  readonly from: PersonDevice;
  readonly to: Person | Circle;
  readonly content: string;
}

export class Company {
  readonly people: readonly Person[];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.people = cast.map(
      ({ brand, account, name }) =>
        new Person({ name, brandNumber: brandNumbers[brand], accountId: accountIdFor(account), world }),
    );
  }

  get devices(): PersonDevice[] {
    return this.people.flatMap(({ devices }) => devices);
  }

  /** The person who is called so in the story. */
  person(name: string): Person {
    const person = this.people.find((each) => each.name === name);
    if (person === undefined) throw new Error(`nobody is called ${name}`);
    return person;
  }

  /** Everybody gets their devices, which sign in. */
  async signIn(): Promise<void> {
    await Promise.all(
      this.people.map(async (person, index) => {
        for (const label of cast[index]?.devices ?? []) await person.addDevice(label);
      }),
    );
  }

  /** One message from everybody to everybody else: every direction between the brands. */
  greetings(): Line[] {
    return this.people.flatMap((to) => this.greetingsTo(to));
  }

  /** One message from everybody else to the person. */
  greetingsTo(to: Person): Line[] {
    return this.people.filter((from) => from !== to).map((from) => this.#line(from.devices, [to]));
  }

  /** Messages between people and from devices that the seed chooses. */
  chatter(count: number): Line[] {
    return Array.from({ length: count }, () => this.#line(this.devices, this.people));
  }

  /** Messages to the circle, from devices of its members that the seed chooses. */
  chatterIn(circle: Circle, count: number): Line[] {
    const { random } = this.#world.stage;
    const writers = circle.devices.filter(({ isOnline }) => isOnline);
    return Array.from({ length: count }, () => ({
      from: random.pick(writers),
      to: circle,
      content: random.pick(phrases),
    }));
  }

  /** One message to the circle from each of its devices. */
  roundIn(circle: Circle): Line[] {
    const { random } = this.#world.stage;
    const writers = circle.devices.filter(({ isOnline }) => isOnline);
    return writers.map((from) => ({ from, to: circle, content: random.pick(phrases) }));
  }

  /** Holds the conversation; resolves when every message is receipted. */
  async hold(lines: readonly Line[]): Promise<void> {
    const writers = new Set(lines.map(({ from }) => from));
    const own = [...writers].map((writer) => lines.filter(({ from }) => from === writer));
    await Promise.all(own.map((its) => this.#holdOne(its)));
  }

  /** Every send is receipted, and every device that is online has read all that is for it. */
  get isSettled(): boolean {
    const { tally } = this.#world.stage;
    const isUpToDate = (device: PersonDevice) => !device.isOnline || tally.outstandingOf(device.name) === 0;
    return tally.unreceipted === 0 && this.devices.every(isUpToDate);
  }

  async #holdOne(lines: readonly Line[]): Promise<void> {
    for (let at = 0; at < lines.length; at += LETTERS_AT_ONCE) {
      const together = lines.slice(at, at + LETTERS_AT_ONCE);
      await Promise.all(together.map(({ from, to, content }) => from.write(to, content)));
    }
  }

  #line(writers: readonly PersonDevice[], readers: readonly Person[]): Line {
    const { random } = this.#world.stage;
    const from = random.pick(writers.filter(({ isOnline }) => isOnline));
    const to = random.pick(readers.filter((person) => person !== from.owner));
    return { from, to, content: random.pick(phrases) };
  }
}
