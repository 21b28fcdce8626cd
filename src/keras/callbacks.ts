/** Values that a callback is given, under Keras's names: loss, val_loss, … */
export type Logs = Readonly<Record<string, number>>;

/** What Keras calls a Callback: any of these is called, and awaited, when its moment comes. */
export interface Callback {
  onTrainBegin?(): void | Promise<void>;
  onEpochBegin?(epoch: number): void | Promise<void>;
  /** `batch` counts from 0 in every epoch; the logs are the epoch's means so far. */
  onTrainBatchEnd?(batch: number, logs: Logs): void | Promise<void>;
  /** The logs include validation values, if there is validation data. */
  onEpochEnd?(epoch: number, logs: Logs): void | Promise<void>;
  onTrainEnd?(): void | Promise<void>;
}
