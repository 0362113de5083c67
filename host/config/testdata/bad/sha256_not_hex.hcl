app "a" {
  module = "a.wasm"
  sha256 = "gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
}
