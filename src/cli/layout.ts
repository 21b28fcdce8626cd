/** Text in lines of at most `width` characters, broken at spaces where there are any. */
export function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ").flatMap((word) => pieces(word, width))) {
      const longer = line === "" ? word : `${line} ${word}`;
      if (line !== "" && longer.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = longer;
      }
    }
    return [...lines, line];
  });
}

function pieces(word: string, width: number): string[] {
  if (word.length <= width) return [word];
  return Array.from({ length: Math.ceil(word.length / width) }, (_, i) =>
    word.slice(i * width, (i + 1) * width),
  );
}

/** Texts in two columns, or below each other where the width is less than 80. */
export function sideBySide(
  left: { readonly title: string; readonly text: string },
  right: { readonly title: string; readonly text: string },
  width: number,
): string {
  if (width < 80) {
    const part = ({ title, text }: typeof left) => [
      `${title}:`,
      ...wrap(text, width - 2).map((line) => `  ${line}`),
    ];
    return [...part(left), ...part(right)].join("\n");
  }
  const column = Math.floor((width - 3) / 2);
  const cells = [left, right].map(({ title, text }) => [
    title,
    "─".repeat(column),
    ...wrap(text, column),
  ]);
  const [a, b] = cells as [string[], string[]];
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
    `${(a[i] ?? "").padEnd(column)} │ ${b[i] ?? ""}`.trimEnd(),
  ).join("\n");
}

/** Labels and values in two columns; long values continue below themselves. */
export function facts(entries: readonly (readonly [string, string])[], width: number): string {
  const label = Math.max(...entries.map(([name]) => name.length)) + 2;
  if (label + 12 > width) {
    return entries
      .flatMap(([name, value]) => [name, ...wrap(value, width - 2).map((line) => `  ${line}`)])
      .join("\n");
  }
  return entries
    .flatMap(([name, value]) =>
      wrap(value, width - label).map((line, i) => (i === 0 ? name : "").padEnd(label) + line),
    )
    .join("\n");
}

/** Rows below a header: the first column to the left, the others to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) =>
    Math.max(...[title, ...rows.map((row) => row[i]!)].map((cell) => cell.length)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
  return [header, ...rows].map((cells) => line(cells).join("  ").trimEnd()).join("\n");
}
