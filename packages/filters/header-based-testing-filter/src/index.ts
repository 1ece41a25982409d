export { headerBasedTestingFilter as default } from "./header-based-testing-filter.ts";
