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
// zero, and that the host may set between calls. It is the balance where the
// host calls the module or is called by it. Within the module the balance is
// passed on: each function takes it as one more parameter, the last, and
// returns it as one more result, the last, which the runtime keeps in
// registers. What the host calls (exports and the start function) are
// functions around the module's own that have the original types, read the
// global and write it; imports that are called by reference are put into ones
// that do the opposite. Direct calls of imports write the global before and
// read it after the call. Types of indirect calls are extended alike: two
// extended types are equal if the originals are.
//
// What has been executed but not subtracted is pending: a number known at
// every point of the code. It is subtracted before loops, checks, calls,
// returns and write-backs, and where ways meet that have different amounts
// pending: the first in the code pays nothing, the others the difference.
//
// # Checks
//
// The balance is compared with zero where a function is entered, at the header
// of each loop, at bulk instructions and growth, and where 128 units have been
// used since a call returned and were not checked. (So a return from deep
// recursion is checked too.) It is exact at each check. A function whose first
// branch or call comes after a loop's header is checked there and not at entry.
// If the balance is below zero, the imported function RefuelName of
// RefuelModule is called with it, and what it returns becomes the balance, also
// in the global. So refuel sees the exact figure: what it granted so far, minus
// the balance, is what was used. It must return a balance of at least zero, or
// not return: it ends the call by panicking. (With a balance below zero the
// module runs on to the next check.) As the places of the checks don't depend
// on the slices that refuel hands out, a module that runs out is stopped after
// the same instructions whatever they are: at the first check where it has used
// more than its limit.
//
// Every cycle passes a check. Between two of them runs at most four times the
// longest path through one function without a call or a loop's next turn, and
// in addition 128 units for each function that returns.
//
// In a loop that begins with a br_table on a local, as Go makes of a function,
// a branch that takes another turn only to get further ahead goes there at
// once: it pays for the turn's beginning and passes neither that nor its check.
//
// Three things keep the checks cheap with wazero's compiler. The usual way of a
// check comes first, as registers after it are given out as they are there. The
// locals that an innermost loop carries from turn to turn are put into globals
// while it is refuelled: a call that they had to be kept over would store each of them at
// every turn. And a small loop with neither a call nor a loop in it has its
// body written down up to four times, with a check in one of them. A function
// that is entered with a balance below zero leaves to one that refuels and
// calls it again. (Beside that, a br_if without values is written as a br
// within an if, which the runtime compiles to fewer instructions.)
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
// A call that ends in a trap leaves in the global what was last written there.
// That is exact for unreachable, bulk instructions and errors of host
// functions. For all other traps (loads and stores outside the memory, integer
// division, float to integer conversion, table.get and table.set outside the
// table, failed indirect calls, stack overflow) what was used since the last
// refuelling, call of an import or bulk instruction is missing: less than one
// slice and what runs between two checks, and the same at every run with the
// same slices.
//
// # What else changes
//
// Function indices at and above the number of imports rise by one, for the
// refuel import; all else keeps its index, and what is added comes after it. A
// start function does not run by itself: it is exported as StartExport. Mutable
// numeric globals are exported under GlobalPrefix. Maxima of memories and
// tables are lowered to the Options. Of the custom sections only the functions'
// names stay, without those that begin with Reserved: so do the names of the
// engine's functions, which stack traces show beside the module's own, with the
// extended types. A function whose parameters just fit into registers (seven
// numbers that are no floats, on amd64) is not called by a real tail call any
// more, since the balance does not fit.
//
// # How much is added
//
// Each function adds at most some 150 bytes of its own, each export and import
// that is referred to some 20 and three for each parameter. Unrolled loops add
// at most 4 KB and a quarter of the code, and locals saved by loops 12 bytes for
// each of 1,024 and one more for 16 bytes of code. Other instructions become at
// most about 25 times as long (memory.grow), compilers' code 1.2 times. Added
// parameters, results and calls count towards the limits.
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
