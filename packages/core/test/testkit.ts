// The one place where core's tests reach the testkit, by path: as a dev dependency of core it would close a cycle in the
// build graph (the testkit is built on core).
export { buildRouter, jsonTestParser, named, type RouterOptions } from "../../testkit/src/build-router.ts";
export { buildBody, buildEndpoint, buildRequest, seededRandom } from "../../testkit/src/builders.ts";
export { FakeClock } from "../../testkit/src/fake-clock.ts";
