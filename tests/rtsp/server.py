"""GStreamer's RTSP server with one camera, a moving test picture; run by Debian's own Python, which sees `gi`.

    /usr/bin/python3 tests/rtsp/server.py --port 0 --codec h265 --size 640x360 --user admin --password p@ss:word

Prints `PORT n` once it listens. Needs gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{good,bad,ugly} and python3-gi.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstRtsp", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ENCODERS = {
    "h264": (
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} threads=1 ! video/x-h264,profile=baseline ! h264parse",
        "rtph264pay pt=96 config-interval=-1 aggregate-mode=zero-latency",
    ),
    "h265": (
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} option-string=pools=1:log-level=none ! h265parse",
        "rtph265pay pt=96 config-interval=-1",
    ),
    "mjpeg": ("jpegenc quality=70", "rtpjpegpay pt=26"),
}


class Factory(GstRtspServer.RTSPMediaFactory):
    """Makes the camera's stream. What is behind the payloader loses packets, as a bad network does."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.set_shared(True)
        if options.udp_only:
            self.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
        elif options.tcp_only:
            self.set_protocols(GstRtsp.RTSPLowerTrans.TCP)

    def do_create_element(self, url):
        o = self.options
        width, height = o.size.split("x")
        encoder, payloader = ENCODERS[o.codec]
        clock = "clockoverlay time-format=%H:%M:%S ! " if o.clock else ""
        source = (
            f"videotestsrc is-live=true pattern={o.pattern} ! "
            f"video/x-raw,format=I420,width={width},height={height},framerate={o.rate}/1 ! {clock}"
            f"{encoder.format(gop=o.gop)} ! identity name=last"
        )
        bin_ = Gst.parse_bin_from_description(source, False)
        loss = f" ! identity drop-probability={o.loss} drop-allocation=false" if o.loss else ""
        pay = Gst.parse_bin_from_description(f"{payloader}{loss}", True)
        pay.set_name("pay0")
        bin_.add(pay)
        bin_.get_by_name("last").link(pay)
        if o.sound:
            kind = "alawenc ! rtppcmapay pt=8" if o.sound == "pcma" else "opusenc ! rtpopuspay pt=97"
            rate = 8000 if o.sound == "pcma" else 48000
            audio = Gst.parse_bin_from_description(
                f"audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate={rate},channels=1 ! {kind}", True
            )
            audio.set_name("pay1")
            bin_.add(audio)
        return bin_


def guarded(factory, options):
    """Who may look: who has the password, or over TLS anyone."""
    auth, token, permissions = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions()
    token.set_string("media.factory.role", "viewer")
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    if options.certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
    if not options.user:
        auth.set_default_token(token)
    elif options.digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    return auth


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--rate", type=int, default=10)
    parser.add_argument("--gop", type=int, default=10)
    parser.add_argument("--pattern", default="ball")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--loss", type=float, default=0.0, help="share of RTP packets that get lost")
    parser.add_argument("--sound", choices=("", "pcma", "opus"), default="")
    parser.add_argument("--clock", action="store_true", help="a clock in the picture")
    parser.add_argument("--udp-only", action="store_true")
    parser.add_argument("--tcp-only", action="store_true")
    parser.add_argument("--certificate", default="", help="PEM with certificate and key: rtsps")
    parser.add_argument("--path", default="/main")
    options = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = Factory(options)
    if options.user or options.certificate:
        server.set_auth(guarded(factory, options))
    server.get_mount_points().add_factory(options.path, factory)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen at port {options.port}")
    print(f"PORT {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
