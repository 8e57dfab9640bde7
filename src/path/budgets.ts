/** Budgets by account, of a bounded number of accounts: the one that was used longest ago is forgotten, and begins anew. */
import { type Budget, fullBudget } from "../rules/sealed.js";

export class BudgetTable {
  readonly #budgets = new Map<string, Budget>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get(account: string): Budget {
    return this.#budgets.get(account) ?? fullBudget;
  }

  set(account: string, budget: Budget): void {
    this.#budgets.delete(account);
    this.#budgets.set(account, budget);
    if (this.#budgets.size <= this.#countMax) return;
    for (const oldest of this.#budgets.keys()) {
      this.#budgets.delete(oldest);
      return;
    }
  }
}
