# Fetches what the host has for this pod, and unpacks it only if it is what was meant.
set -eu
cd /hearth
for try in 1 2 3; do
  wget -q -O parcel.tar --header "Authorization: Bearer $HEARTH_TOKEN" "$HEARTH_URL" && break
  sleep 1
done
echo "$HEARTH_SHA256  parcel.tar" | sha256sum -c - > /dev/null
tar -xf parcel.tar
rm parcel.tar
