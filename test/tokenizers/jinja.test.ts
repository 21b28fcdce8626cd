import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { jinjaTemplate } from "../../src/tokenizers/jinja.js";

describe("jinjaTemplate", () => {
  test("renders as Transformers does: a block takes the newline after it", () => {
    const template = jinjaTemplate("{% for x in xs %}\n{{ x }},\n{% endfor %}\nend", "t");
    expect(template({ xs: [1, 2] })).toBe("1,\n2,\nend");
  });

  test("gives the reason of raise_exception", () => {
    const template = jinjaTemplate("{{ raise_exception('no ' + what) }}", "The template x");
    expect(() => template({ what: "system" })).toThrow(new FacetError("The template x: no system"));
  });

  test.each([
    ["a damaged source", "{% for x in %}"],
    ["a block that does not end", "{% if x %}"],
    ["an unknown filter", "{{ 'a' | launch }}"],
    ["a nesting deeper than the stack", `{{ ${"(".repeat(20_000)} }}`],
  ])("says what is wrong with %s", (_, source) => {
    expect(() => jinjaTemplate(source, "The template x")({})).toThrow(FacetError);
    expect(() => jinjaTemplate(source, "The template x")({})).toThrow(/^The template x: /);
  });

  test("counts as Python does, but not without end", () => {
    const all = "{{ range(3) | join }} {{ range(2, 8, 3) | join }} {{ range(3, 0, -1) | join }}";
    expect(jinjaTemplate(`${all} {{ range(0) | length }}`, "t")({})).toBe("012 25 321 0");
    // V8 ends the process when a list gets so long.
    const source = "{% for i in range(4000000000) %}{% endfor %}";
    expect(() => jinjaTemplate(source, "The template x")({})).toThrow(FacetError);
    expect(() => jinjaTemplate(source, "The template x")({})).toThrow(/range.* is too long/);
    expect(() => jinjaTemplate("{{ range(1, 2, 0) }}", "t")({})).toThrow(/too long/);
  });

  test("stops a template that would run for hours", () => {
    const loop = "{% for i in range(100000) %}";
    const source = `${loop.repeat(4)}x${"{% endfor %}".repeat(4)}`;
    const template = jinjaTemplate(source, "The template x");
    const began = performance.now();
    expect(() => template({})).toThrow(/^The template x: it took more than 2 seconds/);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});
