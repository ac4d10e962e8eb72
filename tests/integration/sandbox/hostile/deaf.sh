trap '' INT TERM HUP QUIT
while :; do :; done
