import { Composer, type Document, isScalar, Lexer, type LineCounter, Parser } from "yaml";

/** Bounds of a file beyond its size. A file of one mebibyte with real endpoints stays below half of them. */
export const yamlBounds: { readonly tokens: number; readonly depth: number; readonly syntaxProblems: number } = {
  tokens: 800_000,
  depth: 32,
  syntaxProblems: 20,
};

/** Why a text gives no document: an offset in the text and what is wrong there. */
export interface ComposeProblem {
  readonly offset: number;
  readonly text: string;
}

/** Composes the one document of a YAML or JSON text, or says what is wrong. Checks bounds before the costly steps. */
export function composeYaml(text: string, lines: LineCounter): Document.Parsed | readonly ComposeProblem[] {
  lines.addNewLine(0);
  // The parser tells of no line ends inside what it cannot place.
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines.addNewLine(at + 1);
  const parser = new Parser();
  const tokens: (ReturnType<Parser["next"]> extends Iterable<infer T> ? T : never)[] = [];
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (++count > yamlBounds.tokens) {
      return [{ offset: parser.offset, text: `the file has more than ${yamlBounds.tokens} words and signs` }];
    }
    // The parser's stack holds the document and each open collection.
    if (parser.stack.length > yamlBounds.depth + 2) {
      return [{ offset: parser.offset, text: `values are nested more than ${yamlBounds.depth} levels deep` }];
    }
  }
  for (const token of parser.end()) tokens.push(token);

  // Keys given twice are found by the reader: the library's own check takes time quadratic in the number of keys.
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false, logLevel: "silent" });
  const problems: ComposeProblem[] = [];
  let filled: Document.Parsed | undefined;
  for (const document of composer.compose(tokens)) {
    for (const { pos, message } of [...document.errors, ...document.warnings]) {
      problems.push({ offset: pos[0], text: `this is not valid YAML: ${message}` });
      if (problems.length === yamlBounds.syntaxProblems) return problems;
    }
    const { contents } = document as Document.Parsed;
    if (contents === null || (isScalar(contents) && contents.value === null)) continue;
    if (filled !== undefined) {
      problems.push({ offset: contents.range[0], text: "the file holds more than one document; one is expected" });
      return problems;
    }
    filled = document as Document.Parsed;
  }
  if (problems.length > 0) return problems;
  return filled ?? [{ offset: 0, text: 'the file is empty; for no endpoints at all write "endpoints: []"' }];
}
