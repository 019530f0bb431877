// Package web is the paper's End User UI: it serves the platform's own web applications to browsers.
//
// An application is a folder of static files that talks only to the public API; the platform's own are built from ui/ and embedded.
// They are served as hosted applications are: /apps/<contextPath>/, those that need no login at /apps/public/<contextPath>/.
// It holds those in memory, compressed once, and answers with a strict content security policy. Applications that tenants uploaded come from a Finder, one file
// at a time. It never reads a cookie and decides nothing.
package web
