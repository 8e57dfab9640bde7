/**
 * Who plays: two people of each brand, each with several devices.
 *
 * The two Anas have the same account id in two brands. They are two people,
 * and nothing meant for one may ever reach the other.
 */
/** The development brands as the node calls and numbers them. */
export const brandNumbers = { whatsapp: 1, instagram: 2, messenger: 3 } as const;
export type Brand = keyof typeof brandNumbers;

interface Role {
  readonly brand: Brand;
  readonly account: string;
  /** As the story calls the person. */
  readonly name: string;
  readonly devices: readonly string[];
}

export const cast: readonly Role[] = [
  { brand: "whatsapp", account: "ana", name: "WhatsApp's Ana", devices: ["phone", "tablet", "laptop"] },
  { brand: "whatsapp", account: "bo", name: "Bo", devices: ["phone", "laptop"] },
  { brand: "instagram", account: "ana", name: "Instagram's Ana", devices: ["phone", "laptop"] },
  { brand: "instagram", account: "chi", name: "Chi", devices: ["phone", "tablet"] },
  { brand: "messenger", account: "dov", name: "Dov", devices: ["phone", "laptop"] },
  { brand: "messenger", account: "eve", name: "Eve", devices: ["phone", "laptop"] },
];

/** What they write: short and long. */
export const phrases: readonly string[] = [
  "are you coming tonight?",
  "the train is late, start without me",
  "I found the photo I told you about, I'll bring it on Sunday",
  "yes",
  "no, but ask me again tomorrow",
  "where did you put the keys?",
  "happy birthday! I hope you all have a wonderful day by the sea, and that the weather holds until the evening",
  "ha",
  "call me when you can",
  "that was the best soup I have ever had",
];
