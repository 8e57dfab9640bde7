/** A group of people, as the story knows it: who is in it is said here before anything is sent, not by the node. */
import type { Person } from "./person.js";
import type { PersonDevice } from "./person-device.js";

export class Circle {
  /** The group's address at the node. */
  readonly address: Uint8Array;
  readonly members: Person[];

  constructor(address: Uint8Array, members: readonly Person[]) {
    this.address = address;
    this.members = [...members];
  }

  get devices(): PersonDevice[] {
    return this.members.flatMap(({ devices }) => devices);
  }
}
