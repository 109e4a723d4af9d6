// Compiles apps one after the other in one process, which spares reading the libraries anew each time:
// compile.cjs COMPILER FOLDER…, where COMPILER is the folder of a TypeScript before 7. Writes, as JSON by folder, what it says of
// the app's files and of coatcheck's declarations.
const { basename, dirname, join } = require('node:path')

const [compiler, ...folders] = process.argv.slice(2)
const ts = require(compiler)
const read = new Map()
const saidByFolder = {}

for (const folder of folders) {
  const file = join(folder, 'tsconfig.json')
  const { options, fileNames } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(file, ts.sys.readFile).config,
    ts.sys,
    dirname(file),
    undefined,
    file,
  )
  const host = ts.createCompilerHost(options)
  const getSourceFile = host.getSourceFile
  host.getSourceFile = (path, languageOptions, ...rest) => {
    const key = JSON.stringify([path, languageOptions.impliedNodeFormat])
    if (path.includes('/node_modules/coatcheck/') || !path.includes('/node_modules/')) {
      return getSourceFile(path, languageOptions, ...rest)
    }
    if (!read.has(key)) read.set(key, getSourceFile(path, languageOptions, ...rest))
    return read.get(key)
  }
  const program = ts.createProgram(fileNames, options, host)
  // What other packages declare is not ours to mend.
  const ours = program
    .getSourceFiles()
    .filter(({ fileName }) => !/\/node_modules\/(?!coatcheck\/)/.test(fileName))
  const said = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...ours.flatMap((source) => [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ]),
  ]
  saidByFolder[folder] = said
    .map(({ file: at, code, messageText }) => {
      const [first] = ts.flattenDiagnosticMessageText(messageText, '\n').split('\n')
      return `${at ? basename(at.fileName) : 'tsconfig.json'}: TS${code} ${first}`
    })
    .join('\n')
}
console.log(JSON.stringify(saidByFolder))
