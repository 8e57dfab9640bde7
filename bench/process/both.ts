/** Two processes that begin at the same time: both are there, or neither is. */
interface Killable {
  kill(): Promise<void>;
}

/** Rejects with what kept one of them from beginning, when the other is ended. */
export async function both<A extends Killable, B extends Killable>(
  a: Promise<A>,
  b: Promise<B>,
): Promise<[A, B]> {
  try {
    return await Promise.all([a, b]);
  } catch (error) {
    await Promise.allSettled([a, b].map(async (one) => (await one).kill()));
    throw error;
  }
}
