export { EntraRegistration } from './registration.ts';
