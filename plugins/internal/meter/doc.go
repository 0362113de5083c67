// Package meter rewrites a Wasm module so that it counts its own fuel.
//
// Rewrite is the trust boundary of the engine: it reads a stranger's binary,
// refuses what is malformed, not understood or over a limit with the offset
// and the reason, and returns a module that behaves as the original in all but
// this: it counts what it executes, and asks the host for more when that is
// spent. The runtime (wazero, with Features enabled) validates the rewritten
// module; what only the injected parts could make valid, such as an index of
// an injected thing or a branch to the injected block, is refused here. So a
// rewritten module compiles only if the original was valid.
//
// # The counter
//
// The balance is a mutable i64 global, exported as FuelExport, that starts at
// zero. The host may set it between calls. Each function keeps it in a local:
// it reads the global at entry and after each call that returns, and writes
// it back before each call, at each return (a branch to the function's label
// is one), before unreachable and before bulk instructions.
//
// The price of a basic block is subtracted where it starts. At function entry,
// at each loop's header, before bulk instructions and after growth the balance
// is compared with zero. (A loop with no call in it is put into an injected one
// that does the refuelling: a call within it would cost it registers at every
// turn, measured as 2.5x on a matrix product.) If it is below, the imported function RefuelName of
// RefuelModule is called with the balance, and what it returns becomes the
// balance, in the local and in the global. So refuel sees the exact figure:
// what it granted so far, minus the balance, is what was used. It must return
// a balance of at least zero, or not return: it ends the call by panicking.
// (With a balance below zero the module runs on to the next check.) As the
// places of the checks don't depend on the slices that refuel hands out, a
// module that runs out is stopped after the same instructions whatever they
// are: at the first check where it has used more than its limit.
//
// Every cycle passes a check. What runs between two checks is bounded by the
// longest path through one function without a call or a loop.
//
// # Prices
//
// The count is of the original's instructions, and exact: equal for equal
// work on any machine and engine.
//
//	block, loop, else, end                   0
//	memory.fill, memory.copy, memory.init    1, and 1 for each 16 bytes begun
//	table.fill, table.copy, table.init       1, and 1 for each element
//	memory.grow                              100, and 4096 for each page grown
//	table.grow                               100, and 1 for each element grown
//	ref.func                                 20
//	any other instruction                    1
//
// Bulk instructions are paid, and the balance checked, before they run, by
// their operand: one that traps since it reaches too far has paid in full.
// Growth is paid when it has succeeded; a refused one costs its base price. A
// call of an import costs 1 here; the host charges for its own work by
// lowering the global, which the caller reads again after the call.
//
// # At a trap
//
// A call that ends in a trap leaves in the global what was last written back.
// That is exact for unreachable, failed indirect calls, stack overflow, bulk
// instructions and errors of host functions. For the other traps (loads and
// stores outside the memory, integer division, float to integer conversion,
// table.get and table.set outside the table) the innermost function's work
// since its last call, refuel or entry is missing: less than one slice, and
// the same at every run with the same slices.
//
// # What else changes
//
// Function indices at and above the number of imports rise by one, for the
// refuel import; all else keeps its index. A start function does not run by
// itself: it is exported as StartExport. Mutable numeric globals are exported
// under GlobalPrefix. Maxima of memories and tables are lowered to the
// Options. Of the custom sections only the module's and the functions' names
// stay.
//
// # What is refused
//
// Everything outside Features, by name: exception handling, threads,
// memory64, multi-memory, garbage collection, typed function references,
// relaxed SIMD. Imports of memories, tables and globals: only functions can be
// imported, so an instance shares nothing that could not be reset. Names that
// begin with Reserved. Whatever exceeds the limits in limit.go, which keep the
// runtime's compiler from taking minutes or gigabytes over a small module. A
// large one still takes it some 4 µs and 1 KB of memory for each byte of code.
//
// The package keeps no state; Rewrite may be called concurrently. It imports
// wazero only for the names of the features.
package meter
