#!/bin/sh
# Unpacks the compiler of Debian's package rustc-web into a folder, and installs nothing: FOLDER/rustc then is it.
set -eu
folder=$1
mkdir -p "$folder/packages"
cd "$folder/packages"
names=$(apt-cache depends --recurse --important rustc-web | grep -E '^(rustc-web|libstd-rust-web[-0-9.a-z]*|libllvm[0-9]+)$' | sort -u)
# shellcheck disable=SC2086 # one word each
apt-get download --quiet $names
for package in *.deb; do
    dpkg-deb --extract "$package" "$folder/root"
done
cat > "$folder/rustc.new" <<END
#!/bin/sh
export LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'librustc_driver-*.so')"):$(dirname "$(find "$folder/root" -name 'libLLVM.so.*' | head -n 1)")
exec "$folder/root/usr/bin/rustc" "\$@"
END
chmod +x "$folder/rustc.new"
"$folder/rustc.new" --version
# Last: a folder without it was not finished.
mv "$folder/rustc.new" "$folder/rustc"
