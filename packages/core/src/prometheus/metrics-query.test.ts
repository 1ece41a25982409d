import { describe, expect, test } from "vitest";
import type { MetricsPage } from "./metrics-page.ts";
import type { ScanOptions } from "./metrics-query.ts";
import { MetricsQuery, maxLinesPerFamily, maxPageBytes, maxProblemsPerPage } from "./metrics-query.ts";
import { maxLinesPerPage } from "./page-lines.ts";

const load = new MetricsQuery(["load"]);

function scan(text: string, options?: ScanOptions, query: MetricsQuery = load): MetricsPage {
  return query.scan(Buffer.from(text), options);
}

function values(page: MetricsPage, name = "load"): number[] {
  return page.family(name)!.samples.map((sample) => sample.value);
}

describe("a page of a vLLM server", () => {
  const query = new MetricsQuery(["vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:cache_config_info"]);
  const page = scan(
    `# HELP vllm:num_requests_waiting Number of requests waiting. See vllm:num_requests_waiting 9
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="a"} 3.0
vllm:num_requests_waiting{engine="1",model_name="a"} 4.0
# HELP vllm:num_requests_waiting_by_reason By reason.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",reason="vllm:num_requests_waiting 1"} 7.0
# TYPE vllm:kv_cache_usage_perc histogram
vllm:kv_cache_usage_perc_bucket{le="+Inf"} 5
vllm:kv_cache_usage_perc_count 5
vllm:kv_cache_usage_perc_sum 5
vllm:cache_config_info{block_size="16",num_gpu_blocks="None"} 1.0
`,
    {},
    query,
  );

  test("each wanted family has its own samples only, in the order of the names", () => {
    expect(page.garbage).toBeUndefined();
    expect(page.problems).toEqual([]);
    expect(page.families.map(({ name, type, samples }) => [name, type, samples.length])).toEqual([
      ["vllm:num_requests_waiting", "gauge", 2],
      ["vllm:kv_cache_usage_perc", "histogram", 0],
      ["vllm:cache_config_info", undefined, 1],
    ]);
  });

  test("samples carry name, value and labels", () => {
    const sample = page.families[0]!.samples[1]!;
    expect([sample.name, sample.value, sample.timestampMs]).toEqual(["vllm:num_requests_waiting", 4, undefined]);
    expect([...sample.labels()]).toEqual([
      ["engine", "1"],
      ["model_name", "a"],
    ]);
    expect(page.family("vllm:cache_config_info")?.samples[0]?.label("num_gpu_blocks")).toBe("None");
  });

  test("a name that is not wanted has no family", () => {
    expect(page.family("vllm:num_requests_waiting_by_reason")).toBeUndefined();
  });
});

describe("the query", () => {
  test("keeps each name once", () => {
    expect(new MetricsQuery(["b", "a", "b"]).names).toEqual(["b", "a"]);
  });

  test.each(["", "a b", "9a", "a{", "größe"])("refuses %j, which is no metric name", (name) => {
    expect(() => new MetricsQuery(["a", name])).toThrow(`metrics query: ${JSON.stringify(name)} is not a metric name`);
  });

  test("without names finds nothing and still tells garbage", () => {
    const query = new MetricsQuery([]);
    expect(scan("load 1\n", {}, query)).toMatchObject({ garbage: undefined, families: [] });
    expect(scan("<html>", {}, query).garbage).toContain("HTML");
  });

  test("a page does not see what an earlier page left behind", () => {
    scan('# TYPE load gauge\nload{a="1"} 1\nload{a="2"} 2\nload x\n');
    const page = scan('load{a="2"} 5\n');
    expect(page.family("load")).toMatchObject({ type: undefined });
    expect(values(page)).toEqual([5]);
    expect(page.problemCount).toBe(0);
  });

  test("an earlier page stays as it was, even when its bytes are overwritten", () => {
    const bytes = Buffer.from('load{a="x"} 1\n');
    const page = load.scan(bytes);
    bytes.fill(0x20);
    load.scan(bytes);
    expect(page.family("load")?.samples.map((sample) => [sample.value, sample.label("a")])).toEqual([[1, "x"]]);
  });

  test("reads the part of a larger buffer that it is given", () => {
    expect(values(load.scan(Buffer.from("load 1\nload 2\nload 3\n").subarray(7, 14)))).toEqual([2]);
  });
});

describe("lines", () => {
  test("the last line counts without newline", () => {
    expect(values(scan("other 1\nload 7"))).toEqual([7]);
  });

  test("of a page that was cut off, the last line without newline is left out", () => {
    expect(values(scan('load{a="1"} 1\nload{a="2"} 12', { cutOff: true }))).toEqual([1]);
    expect(values(scan('load{a="1"} 1\nload{a="2"} 12\n', { cutOff: true }))).toEqual([1, 12]);
  });

  test("CRLF ends lines too", () => {
    const page = scan('# TYPE load gauge\r\nload{a="1"} 1\r\n\r\nload{a="2"} 2 17\r\nload{a="3"} 3');
    expect(page.problems).toEqual([]);
    expect(page.family("load")?.type).toBe("gauge");
    expect(page.family("load")?.samples.map((sample) => [sample.value, sample.timestampMs])).toEqual([
      [1, undefined],
      [2, 17],
      [3, undefined],
    ]);
  });

  test("blanks and tabs may stand wherever the format has gaps", () => {
    expect(values(scan('  load 1\n\tload\t{ a = "1" , }\t2 \t\n  \n load{b="1"}3'))).toEqual([1, 2, 3]);
  });

  test("comments that mention the name are no samples", () => {
    expect(values(scan("# load 1\n#load 2\n # TYPE load\n# HELP load 3\nload 4\n"))).toEqual([4]);
  });

  test("names that start or end alike are other names", () => {
    expect(values(scan("loads 1\nxload 2\nload_total 3\nload:x 4\nload0 5\nLOAD 6\nload 7\n"))).toEqual([7]);
  });

  test("a line far longer than the others is read whole", () => {
    const long = "v".repeat(300_000);
    const page = scan(`load{a="${long}"} 1\nx{b="${long}"} 2\nload{a="z"} 3\n`);
    expect(page.family("load")?.samples.map((sample) => [sample.value, sample.label("a")?.length])).toEqual([
      [1, 300_000],
      [3, 1],
    ]);
  });

  test("samples are found at every place of a page of many parts", () => {
    const lines = Array.from({ length: 30_000 }, (_, index) =>
      index % 1000 === 0 ? `load{i="${index}"} ${index}` : `other_metric{i="${index}"} ${index}`,
    );
    const page = scan(lines.join("\n"));
    expect(values(page)).toEqual(Array.from({ length: 30 }, (_, index) => index * 1000));
  });
});

describe("types", () => {
  test.each([
    ["# TYPE load gauge", "gauge"],
    ["# TYPE load GAUGE", "gauge"],
    ["#TYPE load\tcounter  ", "counter"],
    ["  #  TYPE  load  summary", "summary"],
    ["# TYPE load gauge_histogram", "gaugehistogram"],
    ["# TYPE load unknown", "untyped"],
    ["# TYPE load untyped", "untyped"],
    ["# TYPE load", undefined],
    ["# TYPE loads gauge", undefined],
    ["# TYPE load.x gauge", undefined],
    ["# TYPEload gauge", undefined],
    ["# type load gauge", undefined],
    ["# HELP load gauge", undefined],
    ["# Hello", undefined],
  ])("%j: %s", (line, type) => {
    for (const text of [`${line}\nload 1\n`, `load 1\n${line}`, `${line}\r\nload 1\r\n`]) {
      const page = scan(text);
      expect(page.family("load")?.type).toBe(type);
      expect(values(page)).toEqual([1]);
      expect(page.problems).toEqual([]);
    }
  });

  test("an unknown type is a problem, the samples count", () => {
    const page = scan("# TYPE load gauge extra\nload 1\n");
    expect(page.problems).toEqual([{ line: 1, what: 'load: unknown type "gauge extra"' }]);
    expect(page.family("load")?.type).toBeUndefined();
    expect(values(page)).toEqual([1]);
  });

  test("of two types the first is used", () => {
    const page = scan("# TYPE load gauge\nload 1\n# TYPE load gauge\n# TYPE load counter\n");
    expect(page.problems).toEqual([{ line: 4, what: "load: type counter after type gauge; the first is used" }]);
    expect(page.family("load")?.type).toBe("gauge");
  });
});

describe("OpenMetrics", () => {
  const query = new MetricsQuery(["jobs_total", "jobs", "build_info", "x_total"]);
  const text =
    '# TYPE jobs counter\n# UNIT jobs x\njobs_total 3 1.5 # {t="1"} 2\njobs_created 1\n# TYPE build info\nbuild_info{v="1"} 1\n';

  test("is recognized by its last line and types samples by their family's name", () => {
    for (const end of ["# EOF\n", "# EOF", "# EOF\r\n"]) {
      const page = scan(text + end, {}, query);
      expect(page.format).toBe("openmetrics");
      expect(page.problems).toEqual([]);
      expect(page.families.map(({ type, samples }) => [type, samples.length])).toEqual([
        ["counter", 1],
        ["counter", 0],
        ["info", 1],
        [undefined, 0],
      ]);
      expect(page.family("jobs_total")?.samples[0]?.timestampMs).toBe(1500);
    }
  });

  test("a TYPE line for the sample's own name wins", () => {
    const page = scan("# TYPE jobs counter\n# TYPE jobs_total gauge\njobs_total 1\n# EOF\n", {}, query);
    expect(page.family("jobs_total")?.type).toBe("gauge");
  });

  test("another type of the shorter name says nothing", () => {
    expect(scan("# TYPE jobs gauge\njobs_total 1\n# EOF\n", {}, query).family("jobs_total")?.type).toBeUndefined();
  });

  test("without its end mark a page is text, unless the caller knows better", () => {
    const page = scan(text, {}, query);
    expect(page.format).toBe("text");
    expect(page.family("jobs_total")?.type).toBeUndefined();
    expect(page.problems).toEqual([{ line: 3, what: 'jobs_total: timestamp "1.5" is not whole milliseconds' }]);
    expect(values(scan(text, { format: "openmetrics" }, query), "jobs_total")).toEqual([3]);
    expect(scan("load 1\nx# EOF\n").format).toBe("text");
    expect(scan("load 1 17\n# EOF\n", { format: "text" }).family("load")?.samples[0]?.timestampMs).toBe(17);
  });
});

describe("malformed lines", () => {
  test("cost their own sample only, and say where and what", () => {
    const page = scan('load{a="1"} 1\nload{a="2} 2\nload{a="3"} 3\nload nan?\nload.x 4\nother{{ 5\nload{a="4"} 4\n');
    expect(values(page)).toEqual([1, 3, 4]);
    expect(page.problems).toEqual([
      { line: 2, what: "load: label value without closing quote" },
      { line: 4, what: 'load: value "nan?" is not a number' },
      { line: 5, what: 'load: expected "{" or a blank after the name, found "."' },
    ]);
  });

  test("beyond the limit are counted only", () => {
    const page = scan(`load 1\n${"load x\n".repeat(100)}`);
    expect(values(page)).toEqual([1]);
    expect(page.problems).toHaveLength(maxProblemsPerPage);
    expect(page.problemCount).toBe(100);
  });
});

describe("series given twice", () => {
  test("the first line is used and the second reported", () => {
    const page = scan('load{a="1",b="2"} 1\nload{b="2",a="1"} 5\nload{a="1"} 7\n');
    expect(values(page)).toEqual([1, 7]);
    expect(page.problems).toEqual([
      { line: 2, what: "load: series given twice; the later timestamp, else the first line, is used" },
    ]);
  });

  test("points of one series at different times are no problem; the latest is used", () => {
    const page = scan('load{a="1"} 1 100\nload{a="2"} 7\nload{a="1"} 2 300\nload{a="1"} 3 200\n');
    expect(values(page)).toEqual([2, 7]);
    expect(page.problems).toEqual([]);
  });

  test("a series without labels is found again after one with labels", () => {
    expect(values(scan('load 1\nload{once="1"} 2\nload 3\n'))).toEqual([1, 2]);
  });

  test("a timestamp beats none, but the page is reported", () => {
    const page = scan("load 1\nload 2 100\n");
    expect(values(page)).toEqual([2]);
    expect(page.problemCount).toBe(1);
  });
});

describe("pages that are valid and have nothing", () => {
  test.each(["", "\n", " \t \r\n\n", "# nothing here\n", "#\n", "# TYPE load gauge\n", "# EOF\n", "other 1"])(
    "%j",
    (text) => {
      expect(scan(text)).toMatchObject({ garbage: undefined, problems: [] });
      expect(values(scan(text))).toEqual([]);
    },
  );
});

describe("garbage", () => {
  test.each([
    ["<!DOCTYPE html>\n<html>\n# TYPE load gauge\nload 1\n", 'looks like HTML or XML: "<!DOCTYPE html>"'],
    ["  \n <html>", 'looks like HTML or XML: "<html>"'],
    ['{"error": "no"}\n', 'line 1 is neither comment nor sample: "{\\"error\\": \\"no\\"}"'],
    ["[1]", 'line 1 is neither comment nor sample: "[1]"'],
    ['{\n  "load": 1\n}\n', 'line 1 is neither comment nor sample: "{"'],
    ["404 page not found\n", 'line 1 is neither comment nor sample: "404 page not found"'],
    ["# Title\n\nInternal Server Error\n", 'line 3 is neither comment nor sample: "Internal Server Error"'],
    ["load", 'line 1 is neither comment nor sample: "load"'],
    ["\x00\x01\x02load 1\n", "starts with byte 0x00 instead of a comment or a metric name"],
    ["\ufeffload 1\n", "starts with byte 0xef instead of a comment or a metric name"],
  ])("%j", (text, garbage) => {
    const page = scan(text);
    expect(page.garbage).toBe(garbage);
    expect(values(page)).toEqual([]);
    expect(page.problemCount).toBe(0);
  });

  test("gzip data is named", () => {
    expect(load.scan(Uint8Array.from([0x1f, 0x8b, 8, 0])).garbage).toBe(
      "starts like gzip data; was the body unpacked?",
    );
  });

  test("a page beyond the size limit is not read", () => {
    const page = load.scan(new Uint8Array(maxPageBytes + 1).fill(0x0a));
    expect(page.garbage).toBe(`${maxPageBytes + 1} bytes are more than the limit of ${maxPageBytes}`);
    expect(page.families).toMatchObject([{ name: "load", samples: [] }]);
    expect(load.scan(new Uint8Array(maxPageBytes).fill(0x0a)).garbage).toBeUndefined();
  });

  test("a broken first line alone does not make a page garbage", () => {
    const page = scan("load{ 1\nload 2\n");
    expect(page.garbage).toBeUndefined();
    expect(values(page)).toEqual([2]);
    expect(page.problemCount).toBe(1);
  });

  test("nor do strange bytes after it", () => {
    expect(values(scan("a b\n<x>\n\0\nload 2\n"))).toEqual([2]);
  });

  test("many broken lines at the start do", () => {
    expect(scan(`${"a b\n".repeat(31)}load 1\n`).garbage).toBeUndefined();
    expect(scan(`${"a b\n".repeat(32)}load 1\n`).garbage).toBe('line 1 is neither comment nor sample: "a b"');
  });

  test("a long comment at the start does not hide the samples", () => {
    expect(values(scan(`${"# comment\n".repeat(20_000)}load 1\n`))).toEqual([1]);
  });
});

describe("bombs", () => {
  test("lines of one family beyond the limit are left out and reported once, other families are read", () => {
    const query = new MetricsQuery(["load", "other"]);
    const lines = Array.from({ length: 5000 }, (_, index) => `load{i="${index}"} ${index}`);
    const page = scan(`${lines.join("\n")}\nother 1\n`, {}, query);
    expect(values(page)).toHaveLength(maxLinesPerFamily);
    expect(values(page, "other")).toEqual([1]);
    expect(page.problems).toEqual([
      { line: maxLinesPerFamily + 1, what: `load: more than ${maxLinesPerFamily} lines; the rest is left out` },
    ]);
  });

  test("lines of a page beyond the limit are left out and reported", () => {
    const lines = (count: number): string => `load{a="1"} 1${"\n".repeat(count - 1)}load{a="2"} 2\n`;
    expect(values(scan(lines(maxLinesPerPage)))).toEqual([1, 2]);
    expect(scan(lines(maxLinesPerPage)).problemCount).toBe(0);
    const page = scan(lines(maxLinesPerPage + 1));
    expect(values(page)).toEqual([1]);
    expect(page.problems).toEqual([
      { line: maxLinesPerPage, what: `the page has more than ${maxLinesPerPage} lines; the rest is left out` },
    ]);
  });

  test("the limit holds for each page anew", () => {
    const text = Array.from({ length: maxLinesPerFamily }, (_, index) => `load{i="${index}"} ${index}`).join("\n");
    for (const page of [scan(text), scan(text)]) {
      expect(values(page)).toHaveLength(maxLinesPerFamily);
      expect(page.problemCount).toBe(0);
    }
  });

  test("a sample with a hundred thousand labels is left out", () => {
    const labels = Array.from({ length: 100_000 }, (_, index) => `l${index}="x"`).join(",");
    const page = scan(`load{${labels}} 1\nload 2\n`);
    expect(values(page)).toEqual([2]);
    expect(page.problems).toEqual([{ line: 1, what: "load: more than 128 labels" }]);
  });

  test("a megabyte of escapes in one value is decoded when asked for", () => {
    const page = scan(`load{a="${"\\\\".repeat(500_000)}"} 1\n`);
    expect(page.family("load")?.samples[0]?.label("a")).toBe("\\".repeat(500_000));
  });

  test("a value of a million digits is read", () => {
    expect(values(scan(`load 0.${"3".repeat(1_000_000)}\n`))).toEqual([1 / 3]);
  });

  test("problem texts stay short whatever stands in the line", () => {
    const page = scan(`load 1\nload ${"\x01".repeat(100_000)}\nload{a="\\${"\x01".repeat(1000)}\n`);
    expect(page.problems).toHaveLength(2);
    for (const { what } of page.problems) expect(what.length).toBeLessThan(300);
  });

  test("NUL bytes stay where they are", () => {
    const page = scan('load{a="\0"} 1\n\0load 2\nload{b="1"} \x003\n');
    expect(values(page)).toEqual([1]);
    expect(page.family("load")?.samples[0]?.label("a")).toBe("\0");
    expect(page.problemCount).toBe(1);
  });
});
