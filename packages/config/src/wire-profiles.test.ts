import { describe, expect, test } from "vitest";
import { places, report, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";

/** The profiles of an outcome without problems, in short. */
function profiles(outcome: LoadOutcome): readonly object[] {
  return (outcome.graph?.profiles ?? []).map(({ name, filters, scorers, picker }) => ({
    name,
    filters: filters.map((filter) => filter.name),
    scorers: scorers.map(({ plugin, weight }) => `${plugin.name}*${weight}`),
    picker: picker.name,
  }));
}

describe("stated profiles", () => {
  test("filters and scorers keep their order, the picker may stand anywhere", async () => {
    const outcome = await usualPlugins().load(`
plugins: [{type: queue-scorer}, {type: prefill-filter}, {type: decode-filter}, {type: random-picker}, {type: kv-cache-utilization-scorer}]
schedulingProfiles:
- name: a
  plugins: [{pluginRef: random-picker}, {pluginRef: kv-cache-utilization-scorer, weight: 2}, {pluginRef: decode-filter}, {pluginRef: queue-scorer}, {pluginRef: prefill-filter}]
`);
    expect(report(outcome)).toBe("");
    expect(profiles(outcome)).toEqual([
      {
        name: "a",
        filters: ["decode-filter", "prefill-filter"],
        scorers: ["kv-cache-utilization-scorer*2", "queue-scorer*1"],
        picker: "random-picker",
      },
    ]);
  });

  test("a plugin that filters and scores does both, with its weight", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: context-length-aware}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: context-length-aware, weight: 3}]}]",
    );
    expect(report(outcome)).toBe("");
    expect(profiles(outcome)).toMatchObject([
      { filters: ["context-length-aware"], scorers: ["context-length-aware*3"] },
    ]);
  });

  test("a profile without plugins gets a picker", async () => {
    const outcome = await usualPlugins().load("schedulingProfiles: [{name: a}]");
    expect(report(outcome)).toBe("");
    expect(profiles(outcome)).toEqual([{ name: "a", filters: [], scorers: [], picker: "max-score-picker" }]);
  });

  test("a plugin listed twice runs twice, with a warning", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: queue-scorer}, {type: decode-filter}]\nschedulingProfiles:\n- name: a\n  plugins:\n" +
        ["queue-scorer", "decode-filter", "queue-scorer", "decode-filter"]
          .map((ref) => `  - pluginRef: ${ref}\n`)
          .join(""),
    );
    expect(places(outcome)).toEqual(["7:16 REPEATED_REF", "8:16 REPEATED_REF"]);
    expect(profiles(outcome)).toMatchObject([
      { filters: ["decode-filter", "decode-filter"], scorers: ["queue-scorer*1", "queue-scorer*1"] },
    ]);
  });

  test.each([
    ["a second picker", "[{pluginRef: max-score-picker}, {pluginRef: random-picker}]", "2:85 TWO_PICKERS"],
    ["the same picker twice", "[{pluginRef: random-picker}, {pluginRef: random-picker}]", "2:82 TWO_PICKERS"],
    ["a plugin that is not declared", "[{pluginRef: nobody}]", "2:54 UNDEFINED_REF"],
  ])("%s is refused", async (_, plugins, problem) => {
    const outcome = await usualPlugins().load(
      `plugins: [{type: max-score-picker}, {type: random-picker}, {type: openai-parser}, {type: single-profile-handler}]\nschedulingProfiles: [{name: a, plugins: ${plugins}}]`,
    );
    // Without a picker of its own, the profile gets the first declared one, which is said, too.
    expect(places(outcome).filter((place) => !place.endsWith("PICKER_CHOSEN"))).toEqual([problem]);
  });

  test.each(["openai-parser", "single-profile-handler"])(
    "%s, which acts in no profile, has no effect in one and is warned of",
    async (name) => {
      const outcome = await usualPlugins().load(
        `plugins: [{type: queue-scorer}, {type: openai-parser}, {type: single-profile-handler}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: ${name}, weight: 2}, {pluginRef: queue-scorer}]}]`,
      );
      expect(places(outcome).filter((place) => !place.endsWith("UNUSED_PLUGIN"))).toEqual(["2:54 REF_IGNORED"]);
      expect(profiles(outcome)).toEqual([
        { name: "a", filters: [], scorers: ["queue-scorer*1"], picker: "max-score-picker" },
      ]);
      expect(outcome.effective?.schedulingProfiles[0]?.plugins.map(({ pluginRef }) => pluginRef)).toEqual([
        "queue-scorer",
        "max-score-picker",
      ]);
    },
  );

  test("a weight at a plugin that is no scorer has no effect and is warned of", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: decode-filter}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: decode-filter, weight: 2}]}]",
    );
    expect(places(outcome)).toEqual(["2:77 WEIGHT_IGNORED"]);
    expect(outcome.effective?.schedulingProfiles[0]?.plugins[0]).toEqual({ pluginRef: "decode-filter" });
  });

  test("two profiles of one name are refused", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: disagg-profile-handler}]\nschedulingProfiles:\n- {name: a}\n- {name: b}\n- {name: a}\n",
    );
    expect(places(outcome)).toEqual(["5:10 DUPLICATE_PROFILE"]);
  });
});

describe("without profiles", () => {
  test("all declared plugins that can act in one form the profile default, in list order", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: utilization-detector}, {type: random-picker}, {type: queue-scorer}, {type: decode-filter}, {type: openai-parser}]",
    );
    expect(report(outcome)).toBe("");
    expect(profiles(outcome)).toEqual([
      {
        name: "default",
        filters: ["utilization-detector", "decode-filter"],
        scorers: ["queue-scorer*1"],
        picker: "random-picker",
      },
    ]);
  });

  test("two declared pickers are refused at the second one", async () => {
    const outcome = await usualPlugins().load("plugins:\n- type: max-score-picker\n- type: random-picker\n");
    expect(places(outcome)).toEqual(["3:9 TWO_PICKERS"]);
  });
});

describe("default picker", () => {
  test("a declared picker is taken before the default one", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: random-picker, name: r}]\nschedulingProfiles: [{name: a}]",
    );
    expect(report(outcome)).toBe("");
    expect(profiles(outcome)).toMatchObject([{ picker: "r" }]);
    expect(outcome.effective?.plugins.map(({ name }) => name)).not.toContain("max-score-picker");
  });

  test("of several declared pickers the first one is taken, with a warning", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: weighted-random-picker}, {type: random-picker}, {type: disagg-profile-handler}]\nschedulingProfiles: [{name: a}, {name: b, plugins: [{pluginRef: random-picker}]}]",
    );
    expect(places(outcome)).toEqual(["2:22 PICKER_CHOSEN"]);
    expect(profiles(outcome)).toMatchObject([{ picker: "weighted-random-picker" }, { picker: "random-picker" }]);
  });

  test("without any, all profiles share the default one", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: disagg-profile-handler}]\nschedulingProfiles: [{name: a}, {name: b}]",
    );
    expect(report(outcome)).toBe("");
    expect(profiles(outcome)).toMatchObject([{ picker: "max-score-picker" }, { picker: "max-score-picker" }]);
    expect(outcome.graph?.plugins.filter(({ type }) => type === "max-score-picker")).toHaveLength(1);
  });

  test("a default picker that is not installed is an error of the profile that needs it", async () => {
    const fakes = usualPlugins();
    fakes.failures.set("max-score-picker", { kind: "not-installed", message: "not in node_modules" });
    const outcome = await fakes.load("\nschedulingProfiles: [{name: a}]");
    expect(places(outcome)).toEqual(["2:22 NOT_INSTALLED"]);
    expect(outcome.problems[0]).toMatchObject({
      message:
        'default plugin "max-score-picker" (the profile "a" has no picker) cannot be loaded: not in node_modules.',
      help: "Install the npm package @pointsman/max-score-picker. Or declare another picker.",
    });
  });

  test("a default plugin whose name is taken is refused", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: decode-filter, name: max-score-picker}]");
    expect(places(outcome)).toEqual(["1:1 NAME_TAKEN"]);
  });
});

describe("profile handler", () => {
  test("one profile gets the default handler", async () => {
    const outcome = await usualPlugins().load("{}");
    expect(outcome.graph?.profileHandler).toMatchObject({
      name: "single-profile-handler",
      type: "single-profile-handler",
    });
  });

  test("a declared handler is used", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: disagg-profile-handler, name: pd}]");
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.profileHandler.name).toBe("pd");
    expect(outcome.graph?.plugins.map(({ type }) => type)).not.toContain("single-profile-handler");
  });

  test("several profiles without a handler are refused at the second profile", async () => {
    const outcome = await usualPlugins().load("schedulingProfiles:\n- {name: a}\n- {name: b}\n");
    expect(places(outcome)).toEqual(["3:3 NO_PROFILE_HANDLER"]);
  });

  test("a second handler is refused", async () => {
    const outcome = await usualPlugins().load(
      "plugins:\n- type: single-profile-handler\n- type: disagg-profile-handler\n",
    );
    expect(places(outcome)).toEqual(["3:9 TWO_PROFILE_HANDLERS"]);
  });

  test("a handler can refuse the profiles", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: single-profile-handler}]\nschedulingProfiles: [{name: a}, {name: b}]",
    );
    expect(places(outcome)).toEqual(["1:18 PROFILES_REFUSED"]);
    expect(outcome.problems[0]?.message).toBe(
      'plugins[0] "single-profile-handler" refuses the profiles: it runs one profile, not 2.',
    );
  });

  test("a handler that throws on the profiles refuses them", async () => {
    const fakes = usualPlugins().add("moody-profile-handler", "profile-handler", {
      checkProfiles: () => {
        throw new Error("not today");
      },
    });
    expect(places(await fakes.load("plugins: [{type: moody-profile-handler}]"))).toEqual(["1:18 PROFILES_REFUSED"]);
  });
});

describe("one mistake is one problem", () => {
  test.each([
    ["a handler of an unknown type", "{type: dissag-profile-handlr}", "UNKNOWN_TYPE"],
    ["a handler with a wrong parameter", "{type: disagg-profile-handler, parameters: {deciders: 5}}", "BAD_PARAM"],
    ["a picker of an unknown type", "{type: disagg-profile-handler}, {type: nope, name: r}", "UNKNOWN_TYPE"],
    [
      "a picker with a wrong parameter",
      "{type: disagg-profile-handler}, {type: random-picker, name: r, parameters: {n: 1}}",
      "UNKNOWN_PARAM",
    ],
    [
      "a filter with a wrong parameter",
      "{type: disagg-profile-handler}, {type: label-selector-filter, name: r, parameters: {n: 1}}",
      "UNKNOWN_PARAM",
    ],
  ])("%s", async (_, plugins, code) => {
    const profile = plugins.includes("name: r") ? "{name: b, plugins: [{pluginRef: r, weight: 2}]}" : "{name: b}";
    const outcome = await usualPlugins().load(`plugins: [${plugins}]\nschedulingProfiles: [{name: a}, ${profile}]`);
    expect(
      places(outcome)
        .filter((place) => !place.endsWith("WEIGHT_IGNORED"))
        .map((place) => place.split(" ")[1]),
    ).toEqual([code]);
  });

  test("a parser that does not start is still in the wrong place in a profile", async () => {
    const fakes = usualPlugins().add("strange-parser", "parser", {
      onCreate: () => {
        throw new Error("no");
      },
    });
    const outcome = await fakes.load(
      "plugins: [{type: strange-parser}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: strange-parser}]}]",
    );
    expect(places(outcome)).toEqual(["1:18 CREATE_FAILED", "2:54 REF_IGNORED"]);
  });
});
