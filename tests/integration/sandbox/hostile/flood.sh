yes | head -c 1000000000 &
yes | head -c 1000000000 >&2 &
wait
