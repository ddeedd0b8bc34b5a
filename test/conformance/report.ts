/** Prints the table of `docs/conformance.md`: `node test/conformance/report.ts`. */
import { report } from './features.ts';

console.log(report());
