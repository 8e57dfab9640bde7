/** A plot as the page's script gets it: lines over shared x values, latencies upwards on a logarithmic axis. */
export interface LinePlot {
  readonly title: string;
  readonly xLabel: string;
  /** Where the x axis has marks, and what they say; null lets the plot choose. */
  readonly xMarks: readonly XMark[] | null;
  readonly x: readonly number[];
  readonly lines: readonly Line[];
}

export interface XMark {
  readonly at: number;
  readonly text: string;
}

export interface Line {
  readonly name: string;
  /** Number of a colour, as in colours.ts. */
  readonly colour: number;
  /** Receipts are dashed, deliveries are not. */
  readonly isDashed: boolean;
  /** Milliseconds; null where there is no value. */
  readonly values: readonly (number | null)[];
}
