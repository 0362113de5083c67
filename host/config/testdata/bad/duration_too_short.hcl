conversation {
  silence = "1999ms"
}
