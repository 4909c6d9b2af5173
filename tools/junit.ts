/** How a test run ended, from the JUnit report of `deno test`. */
export interface TestCounts {
  /** Tests that passed. */
  readonly passed: number;
  /** Tests that failed. */
  readonly failed: number;
  /** Names of the tests that were ignored. */
  readonly skipped: readonly string[];
}

interface TestCase {
  readonly name: string;
  readonly attributes: string;
  readonly body: string;
}

/**
 * Counts the tests in a JUnit report.
 *
 * A test counts once: its steps, which the report lists as further test cases called `test > step`, belong to it. Tests
 * that `--filter` left out are in the report too, without a time, and do not count.
 */
export function countTests(report: string): TestCounts {
  const suites = report.split("<testsuite ").slice(1);
  const tests = suites.flatMap((suite) => withoutSteps(testCases(suite)))
    .filter(({ attributes }) => /\btime="/.test(attributes));
  const skipped = tests.filter(({ body }) => body.includes("<skipped"));
  const failed = tests.filter(({ body }) => /<(failure|error)\b/.test(body));
  return {
    passed: tests.length - skipped.length - failed.length,
    failed: failed.length,
    skipped: skipped.map(({ name }) => name),
  };
}

function testCases(suite: string): TestCase[] {
  const cases = suite.matchAll(/<testcase name="([^"]*)"([^>]*)>([^]*?)<\/testcase>/g);
  return [...cases].map(([, name, attributes, body]) => (
    { name: unescaped(name!), attributes: attributes!, body: body! }
  ));
}

function withoutSteps(cases: readonly TestCase[]): TestCase[] {
  const names = new Set(cases.map(({ name }) => name));
  const isStep = (name: string) => {
    for (let end = name.indexOf(" > "); end >= 0; end = name.indexOf(" > ", end + 1)) {
      if (names.has(name.slice(0, end))) return true;
    }
    return false;
  };
  return cases.filter(({ name }) => !isStep(name));
}

function unescaped(text: string): string {
  const characters: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => characters[name]!);
}
