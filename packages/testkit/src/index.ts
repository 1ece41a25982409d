export { buildRouter, jsonTestParser, named, type RouterOptions } from "./build-router.ts";
export {
  type AttributeValue,
  type BuildPluginOptions,
  type BuiltPlugin,
  buildBody,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  type RequestOptions,
  seededRandom,
} from "./builders.ts";
export type { ContractCheck } from "./contracts/contract-check.ts";
export { type FilterContractOptions, filterChecks, filterContract } from "./contracts/filter-contract.ts";
export {
  higherIsBetter,
  type Improvement,
  improvement,
  lowerIsBetter,
  monotoneCheck,
  monotoneIn,
} from "./contracts/monotone-in.ts";
export { type PickerContractOptions, pickerChecks, pickerContract } from "./contracts/picker-contract.ts";
export { type PluginContractOptions, pluginChecks, pluginContract } from "./contracts/plugin-contract.ts";
export {
  type ProfileHandlerContractOptions,
  profileHandlerChecks,
  profileHandlerContract,
} from "./contracts/profile-handler-contract.ts";
export {
  type SaturationDetectorContractOptions,
  saturationDetectorChecks,
  saturationDetectorContract,
} from "./contracts/saturation-detector-contract.ts";
export { type ScorerContractOptions, scorerChecks, scorerContract } from "./contracts/scorer-contract.ts";
export { type EndpointSignal, endpointSignal, type SituationOptions, situationNowMs } from "./contracts/situation.ts";
export { FakeClock } from "./fake-clock.ts";
export { type ParameterRow, parameterRows, parametersTable } from "./params-table.ts";
