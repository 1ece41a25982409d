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
export { type AdmitterContractOptions, admitterChecks, admitterContract } from "./contracts/admitter-contract.ts";
export type { ContractCheck } from "./contracts/contract-check.ts";
export { type DeciderContractOptions, deciderChecks, deciderContract } from "./contracts/decider-contract.ts";
export { type FilterContractOptions, filterChecks, filterContract } from "./contracts/filter-contract.ts";
export {
  higherIsBetter,
  type Improvement,
  improvement,
  lowerIsBetter,
  monotoneCheck,
  monotoneIn,
} from "./contracts/monotone-in.ts";
export {
  type AnswerSample,
  type ParserContractOptions,
  parserChecks,
  parserContract,
  type RequestSample,
} from "./contracts/parser-contract.ts";
export { type PickerContractOptions, pickerChecks, pickerContract } from "./contracts/picker-contract.ts";
export { type PluginContractOptions, pluginChecks, pluginContract } from "./contracts/plugin-contract.ts";
export { type ProducerContractOptions, producerChecks, producerContract } from "./contracts/producer-contract.ts";
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
export { type ScreenerContractOptions, screenerChecks, screenerContract } from "./contracts/screener-contract.ts";
export { type EndpointSignal, endpointSignal, type SituationOptions, situationNowMs } from "./contracts/situation.ts";
export { FakeClock } from "./fake-clock.ts";
export { type ParameterRow, parameterRows, parametersTable } from "./params-table.ts";
