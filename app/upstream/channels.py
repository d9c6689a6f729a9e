"""The channels for notices that the settings name, besides the log."""

from app.administration.notices import Channel
from app.clock import Clock
from app.errors import BadSetting
from app.settings import Settings
from app.upstream.mail import Mail, MailServer
from app.upstream.secret_files import read_secret
from app.upstream.webhook import SigningKey, Webhook

WEBHOOK, MAIL = "webhook", "mail"


def open_channels(settings: Settings, clock: Clock) -> dict[str, Channel]:
    """Each channel by its name. Raises BadSetting where a secret or a certificate cannot be used."""
    ca_file = None if settings.notice_ca_file is None else str(settings.notice_ca_file)
    channels: dict[str, Channel] = {}
    try:
        if settings.webhook_url is not None and settings.webhook_secret_file is not None:
            key = SigningKey.from_file(settings.webhook_secret_file)
            channels[WEBHOOK] = Webhook(url=settings.webhook_url, key=key, clock=clock, ca_file=ca_file)
        if settings.smtp_url is not None and settings.mail_from is not None:
            password = (
                None if settings.smtp_password_file is None else read_secret(settings.smtp_password_file)
            )
            server = MailServer.at(settings.smtp_url, password=password)
            channels[MAIL] = Mail(server=server, sender=settings.mail_from, clock=clock, ca_file=ca_file)
    except OSError as error:
        raise BadSetting(
            f"BURSAR_NOTICE_CA_FILE, {ca_file}, cannot be used: {type(error).__name__}."
        ) from error
    return channels
