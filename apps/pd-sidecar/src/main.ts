#!/usr/bin/env node
import { demo } from "./demo.ts";
import { serve } from "./serve.ts";

const args = process.argv.slice(2);
process.exitCode = args[0] === "demo" ? await demo(args.slice(1)) : await serve(args, process.env);
