"""A mail server with STARTTLS on port 2525, TLS on 4465, and a log-in as lb1.

Usage: mail_server.py CERTIFICATE KEY. Says `ready`, then a line for each mail.
"""

import email
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP


class Handler:
    async def handle_DATA(self, server, session, envelope):
        subject = email.message_from_bytes(envelope.content)["Subject"]
        is_private = session.ssl is not None or server.transport.get_extra_info("sslcontext")
        user = session.auth_data.login.decode() if session.auth_data else None
        print(f"MAIL tls={bool(is_private)} user={user} subject={subject}", flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    is_right = data.login == b"lb1" and data.password == b"s3cret"
    return AuthResult(success=is_right, handled=False, auth_data=data)


class Encrypted(Controller):
    """TLS from the first byte: a log-in needs no STARTTLS."""

    def factory(self):
        return SMTP(self.handler, authenticator=authenticate, auth_require_tls=False)


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(*sys.argv[1:3])
starttls = Controller(
    Handler(), hostname="127.0.0.1", port=2525, tls_context=context, authenticator=authenticate
)
encrypted = Encrypted(Handler(), hostname="127.0.0.1", port=4465, ssl_context=context)
starttls.start()
encrypted.start()
print("ready", flush=True)
threading.Event().wait()
