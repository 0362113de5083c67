app "a" {
  module = ""
}
