(setsid bash -c 'touch started; exec -a survivor sleep 300' &)
until [ -e started ]; do :; done
