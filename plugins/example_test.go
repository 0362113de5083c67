package plugins_test

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/auricle-dev/auricle/plugins"
)

// answerWasm is made from testdata/answer.wat:
//
//	(module
//	  (memory (export "memory") 1)
//	  (global $calls (mut i32) (i32.const 0))
//	  (func (export "double") (param $n i32) (result i32)
//	    (i32.mul (local.get $n) (i32.const 2)))
//	  (func (export "calls") (result i32)
//	    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
//	    (global.get $calls))
//	)
//
//go:embed testdata/answer.wasm
var answerWasm []byte

func Example() {
	ctx := context.Background()
	engine, err := plugins.New(ctx, plugins.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(ctx)

	module, err := engine.Load(ctx, answerWasm, plugins.LoadOptions{Name: "answer"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, inv := range []plugins.Invocation{
		{Export: "double", Args: []uint64{21}},
		{Export: "calls"}, {Export: "calls"}, // each starts from fresh state
		{Export: "double", Args: []uint64{21}, Limits: plugins.Limits{Fuel: 2}},
	} {
		res, err := module.Run(ctx, inv)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(inv.Export, res.Outcome, res.Values, res.Fuel)
	}
	// Output:
	// double ok [42] 3
	// calls ok [1] 5
	// calls ok [1] 5
	// double fuel_exhausted [] 2
}

// A session keeps its instance's state from one invocation to the next.
func ExampleModule_NewSession() {
	ctx := context.Background()
	engine, err := plugins.New(ctx, plugins.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(ctx)
	module, err := engine.Load(ctx, answerWasm, plugins.LoadOptions{Name: "answer"})
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := module.NewSession()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	for _, limit := range []uint64{100, 100, 2, 100} {
		if session.Restarted() {
			fmt.Println("begins afresh")
		}
		res, err := session.Run(ctx, plugins.Invocation{Export: "calls", Limits: plugins.Limits{Fuel: limit}})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(res.Outcome, res.Values)
		session.Park() // as the engine does with those that nobody uses
	}
	// Output:
	// ok [1]
	// ok [2]
	// fuel_exhausted []
	// begins afresh
	// ok [1]
}
