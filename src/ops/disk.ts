/**
 * Watches the free space where the data directory is. Below the bound the disk
 * is low; it is so until there is a quarter more than the bound again, because
 * a node that sheds sends frees a little space with every ack and would
 * otherwise flutter between the two.
 */
import { statfs } from "node:fs/promises";

/** Free bytes for us, not for root; rejects when they cannot be read. */
export type ReadFreeBytes = (directory: string) => Promise<number>;

export class DiskWatch {
  readonly #directory: string;
  readonly #freeBytesMin: number;
  readonly #onChange: (isLow: boolean, freeBytes: number) => void;
  readonly #read: ReadFreeBytes;
  #isLow = false;

  constructor(options: {
    readonly directory: string;
    readonly freeBytesMin: number;
    readonly onChange: (isLow: boolean, freeBytes: number) => void;
    readonly readFreeBytes?: ReadFreeBytes;
  }) {
    this.#directory = options.directory;
    this.#freeBytesMin = options.freeBytesMin;
    this.#onChange = options.onChange;
    this.#read = options.readFreeBytes ?? readFreeBytes;
  }

  get isLow(): boolean {
    return this.#isLow;
  }

  /** One look. A look that fails changes nothing and rejects. */
  async check(): Promise<void> {
    const freeBytes = await this.#read(this.#directory);
    const bound = this.#isLow ? this.#freeBytesMin * 1.25 : this.#freeBytesMin;
    const isLow = freeBytes < bound;
    if (isLow === this.#isLow) return;
    this.#isLow = isLow;
    this.#onChange(isLow, freeBytes);
  }
}

async function readFreeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
