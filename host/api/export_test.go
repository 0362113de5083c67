package api

// UserPath reads the path of a user's apps.
var UserPath = userPath

// ParseState reads the body of a choice.
var ParseState = parseState

// ParseOmiCall reads the body of a call of Omi's chat.
var ParseOmiCall = parseOmiCall
