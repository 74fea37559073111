# The sample of deploy/haproxy for compose.yml: its services by name, and no TLS.
# Names are looked up again and again: a container comes back under another address.
#   sed -f haproxy.sed ../haproxy/switchboard.cfg >haproxy.cfg
s/bind :443 .*/bind :8080/
/^frontend plain/,/^$/d
s/default-server check/default-server resolvers names init-addr libc,none check/
s/10\.0\.0\.11:7001/chatserver-1:7001/
s/10\.0\.0\.12:7001/chatserver-2:7001/
s/10\.0\.0\.11:7201/loader:7201/
/10\.0\.0\.12:7201/d
s/10\.0\.0\.11:7101/support-primary:7101/
s/10\.0\.0\.12:7101/support-standby:7101/
$a\
\
resolvers names\
    nameserver dns 127.0.0.11:53
