package meter

// Limits on what a module may declare, whatever Options say. They are well
// above what compilers make, and low enough that a module within the engine's
// size limit can't make the runtime's compiler take memory or time out of
// proportion to its size.
//
// wazero 1.12's compiler takes about 4 µs and 1 KB of memory for each byte of
// a function, which no limit here changes, but much more for some shapes:
// 10,000 nested loops (70 KB) take 10 s, 100,000 nested blocks minutes, a
// br_table of 100,000 labels 2.6 s; and 10,000 joins of 1,000 locals (107 KB)
// take 16 s and 1.5 GB, as each local may need merging at each join.
const (
	defaultMemoryBytes   = 64 << 20
	defaultTableElements = 1 << 18

	pageBytes      = 1 << 16
	maxMemoryPages = 1 << 16

	maxTypes           = 100_000
	maxTypeValues      = 1_000_000 // parameters and results of all types together
	maxParams          = 1_000     // of one type
	maxResults         = 1_000     // of one type
	maxImports         = 10_000
	maxFunctions       = 200_000
	maxFunctionBytes   = 1 << 20
	maxFunctionLocals  = 50_000
	maxLocals          = 4_000_000   // parameters, results and locals of all functions together
	maxFunctionMerges  = 4_000_000   // basic blocks times locals of one function
	maxMerges          = 100_000_000 // the same of all functions together
	maxNesting         = 10_000      // of blocks
	maxLoopNesting     = 256
	maxLabels          = 20_000     // of one br_table
	maxCarriedValues   = 50_000_000 // by blocks, branches and calls of all functions together
	maxTables          = 16
	maxGlobals         = 100_000
	maxExports         = 100_000
	maxElementSegments = 100_000
	maxElements        = 2_000_000 // of all segments together
	maxDataSegments    = 100_000
	maxConstBytes      = 10_000 // of one constant expression
	maxNameBytes       = 100_000
	maxKeptNameBytes   = 1_000 // a longer name in the name section is dropped
)
