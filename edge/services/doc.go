// Package services is the paper's Edge Services: what stands between the Internet and the platform and lets only the right traffic through.
//
// The paper names four: DNS, content delivery network, firewall and load balancer. Its sub-packages are the parts of them that belong into the
// server itself: firewall (who may connect, and who a client really is behind a balancer) and limits (how much one may ask for). Names, content delivery and balancing
// are left to what the network has; both parts work behind it. Nothing here knows a dialect, a component or a user's rights.
package services
