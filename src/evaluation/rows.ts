/** What a model makes of the target tokens of one row. */
export interface TokenScores {
  /** Σ of the tokens' cross-entropy, in nats. */
  readonly loss: number;
  /** Tokens whose most likely id is right. */
  readonly correct: number;
  readonly tokens: number;
}

/** What a model answered to the prompt of one row. */
export interface Answer {
  /** The row's own completion. */
  readonly reference: string;
  readonly text: string;
  /** "stop" at an end token, "length" when it was cut. */
  readonly finish: "stop" | "length";
  /** Tokens of the answer, its end token included. */
  readonly tokens: number;
  /** Tokens of the row's own completion, its end token included. */
  readonly referenceTokens: number;
}

/** What a model makes of a question with given choices. */
export interface ChoiceScores {
  /** log p(choice | question) of each choice, in nats. */
  readonly logProbabilities: readonly number[];
  /** Characters (code points) of each choice. */
  readonly lengths: readonly number[];
  /** The right choice. */
  readonly answer: number;
}
