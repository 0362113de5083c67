app "a" {
  module = abspath("a.wasm")
}
