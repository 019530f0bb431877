package c8ymqtt

// ParseClientID is for tests.
var ParseClientID = parseClientID
